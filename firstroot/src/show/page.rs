//! A page: lines of labels and words.

use system::printable::printable;

use super::terminal::Terminal;

/// How words look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Good,
    Bad,
    Warning,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Warning => "33",
        }
    }
}

/// A line: where its first and its further lines begin, a label, and words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    indent: usize,
    hanging: usize,
    label: (Style, String),
    text: String,
    is_whole: bool,
}

/// The page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    lines: Vec<Line>,
}

impl Page {
    /// A line of its own.
    pub(crate) fn line(&mut self, indent: usize, style: Style, text: &str) {
        let label = (style, printable(text).into_owned());
        self.lines.push(Line { indent, hanging: indent, label, text: String::new(), is_whole: false });
    }

    /// A label, and a text that begins at `column`.
    pub(crate) fn labelled(&mut self, indent: usize, column: usize, style: Style, label: &str, text: &str) {
        let label = (style, printable(label).into_owned());
        let text = printable(text).into_owned();
        self.lines.push(Line { indent, hanging: column, label, text, is_whole: false });
    }

    /// A command, which is never broken: it is copied.
    pub(crate) fn command(&mut self, indent: usize, command: &str) {
        let label = (Style::Bold, printable(command).into_owned());
        self.lines.push(Line { indent, hanging: indent, label, text: String::new(), is_whole: true });
    }

    /// The page as text.
    pub(crate) fn render(&self, terminal: Terminal) -> String {
        let mut out = String::new();
        for line in &self.lines {
            line.render(terminal, &mut out);
        }
        out
    }
}

impl Line {
    fn render(&self, terminal: Terminal, out: &mut String) {
        let (style, label) = &self.label;
        let mut pen = Pen { line: self, terminal, out, column: 0 };
        pen.write(*style, label);
        if !self.text.is_empty() {
            pen.go_to(self.hanging);
            pen.write(Style::Plain, &self.text);
        }
        out.push('\n');
    }
}

/// Writes the words of a line.
struct Pen<'a> {
    line: &'a Line,
    terminal: Terminal,
    out: &'a mut String,
    /// Zero at the beginning of the line.
    column: usize,
}

impl Pen<'_> {
    fn write(&mut self, style: Style, text: &str) {
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let width = word.chars().count();
            if self.column == 0 {
                self.go_to(self.line.indent + 1);
            } else if self.line.is_whole || self.terminal.width.is_none_or(|limit| self.column + 1 + width <= limit) {
                self.space(1);
            } else {
                self.out.push('\n');
                self.column = 0;
                self.space(self.line.hanging);
            }
            if self.terminal.colour && style != Style::Plain {
                self.out.push_str(&format!("\x1b[{}m{word}\x1b[0m", style.code()));
            } else {
                self.out.push_str(word);
            }
            self.column += width;
        }
    }

    /// The next word begins at `column`, or later: there is a space before it.
    fn go_to(&mut self, column: usize) {
        self.space(column.saturating_sub(self.column + 1));
    }

    fn space(&mut self, count: usize) {
        self.out.push_str(&" ".repeat(count));
        self.column += count;
    }
}

#[cfg(test)]
mod tests {
    use super::super::terminal::PLAIN;
    use super::*;

    fn page() -> Page {
        let mut page = Page::default();
        page.labelled(0, 8, Style::Bad, "Booted", "one two three four five six seven");
        page.line(2, Style::Plain, "a\x1b[2Jname\n");
        page.command(2, "a command that is longer than the terminal is wide");
        page
    }

    #[test]
    fn words_go_to_the_next_line_and_commands_stay_whole() {
        let text = page().render(Terminal { colour: false, width: Some(20) });
        let expected = "Booted  one two\n        three four\n        five six\n        seven\n  a\\u{1b}[2Jname\\n\n  \
                        a command that is longer than the terminal is wide\n";
        assert_eq!(text, expected);
        assert!(page().render(PLAIN).starts_with("Booted  one two three four five six seven\n"));
    }

    #[test]
    fn only_a_terminal_gets_colours_and_names_never_have_some() {
        assert!(!page().render(PLAIN).contains('\x1b'));
        let text = page().render(Terminal { colour: true, width: None });
        assert!(text.starts_with("\x1b[1;31mBooted\x1b[0m  one ") && !text.contains("\x1b[2J"), "{text:?}");
    }
}
