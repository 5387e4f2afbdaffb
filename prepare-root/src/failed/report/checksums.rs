//! Checksums by as many digits as tell them apart.

use crate::plan::choice::digits_needed;

/// The checksums in a text, and the names of objects, which lack the first two digits.
pub(super) fn checksums(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_digit(c)).filter(|digits| [OBJECT, CHECKSUM].contains(&digits.len()))
}

const OBJECT: usize = 62;
const CHECKSUM: usize = 64;

fn is_digit(character: char) -> bool {
    matches!(character, '0'..='9' | 'a'..='f')
}

/// The text with each checksum cut to `digits` digits.
pub(super) fn short(text: &str, digits: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(checksum) = checksums(rest).next() {
        let Some((before, behind)) = rest.split_once(checksum) else { break };
        out.push_str(before);
        out.push_str(checksum.get(..digits).unwrap_or(checksum));
        out.push('…');
        rest = behind;
    }
    out + rest
}

/// How many digits tell all checksums in these texts apart.
pub(super) fn digits_for(texts: &[&str]) -> usize {
    // Two texts can share all but the last digit; a whole checksum is never shown.
    digits_needed(texts.iter().flat_map(|text| checksums(text)).collect()).min(OBJECT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_cut_and_nothing_else_is() {
        let sum = "0123456789abcdef".repeat(4);
        let text = format!("/ostree/boot.1/os/{sum}/0 -> {sum}.0 {sum}0 {}", &sum[1..]);
        assert_eq!(short(&text, 5), format!("/ostree/boot.1/os/01234…/0 -> 01234….0 {sum}0 {}", &sum[1..]));
    }
}
