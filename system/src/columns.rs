//! Text in columns: lines that fit a screen. The text is [`printable`](crate::printable::printable).

use std::borrow::Cow;

/// Columns of the smallest screen.
pub const SCREEN: usize = 80;

/// How many columns a text has at most. A character that may be wide counts as two.
pub fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

fn width(character: char) -> usize {
    // Before Hangul no character is wide, and neither are the signs of punctuation.
    if character < '\u{1100}' || ('\u{2000}'..'\u{2e80}').contains(&character) { 1 } else { 2 }
}

/// The text in lines of at most `most` columns, broken between words if possible. The first line has `used` columns already; each
/// other one begins with `indent` spaces.
pub fn wrapped(text: &str, most: usize, used: usize, indent: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut room = most.saturating_sub(used);
    let begin = |lines: &mut Vec<String>| {
        lines.push(" ".repeat(indent));
        most.saturating_sub(indent)
    };
    let mut is_first = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let space = usize::from(!is_first);
        if columns(word) + space > room && !is_first {
            room = begin(&mut lines);
            is_first = true;
        }
        let line = |lines: &mut Vec<String>, character| lines.last_mut().map(|line| line.push(character));
        if !is_first {
            line(&mut lines, ' ');
            room -= 1;
        }
        // A word that is longer than a line is broken.
        for character in word.chars() {
            if width(character) > room {
                room = begin(&mut lines);
            }
            line(&mut lines, character);
            room = room.saturating_sub(width(character));
        }
        is_first = false;
    }
    lines
}

/// The text, cut if it has more than `most` columns.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if columns(text) <= most {
        return Cow::Borrowed(text);
    }
    let mut room = most.saturating_sub(1);
    let fits = |character: &char| {
        let fits = width(*character) <= room;
        room = room.saturating_sub(width(*character));
        fits
    };
    Cow::Owned(text.chars().take_while(fits).chain(['…']).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_stay_whole_where_they_can() {
        let text = format!("{} {}", "word ".repeat(16), "x".repeat(100));
        let lines = wrapped(&text, 80, 70, 2);
        assert_eq!(lines[0], "word word");
        assert_eq!(lines[1], format!("  {}", vec!["word"; 14].join(" ")));
        assert_eq!(lines[2], format!("  {}", "x".repeat(78)));
        assert_eq!(lines[3], format!("  {}", "x".repeat(22)));
    }

    proptest! {
        #[test]
        fn every_line_fits_and_no_character_is_lost(text in "([a-z]{1,12} |\\PC{0,30} ?|x{70,90}){0,8}", used in 0..81usize, indent in 0..20usize) {
            let lines = wrapped(&text, SCREEN, used, indent);
            for (index, line) in lines.iter().enumerate() {
                prop_assert!(columns(line) + if index == 0 { used } else { 0 } <= SCREEN, "{:?}", line);
            }
            let letters = |text: &str| text.replace(' ', "");
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }

        #[test]
        fn what_is_cut_fits(text in "\\PC{0,40}", most in 2..40usize) {
            prop_assert!(columns(&cut(&text, most)) <= most);
        }
    }
}
