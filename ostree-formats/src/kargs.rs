//! The kernel arguments in `options` of a boot loader entry.

use std::fmt;

use crate::bls::breaks_line;

/// The arguments in their order. Double quotes protect spaces and are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelArguments(Vec<String>);

impl KernelArguments {
    /// Splits a line.
    pub fn parse(text: &str) -> Self {
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for character in text.chars() {
            // A line break becomes a space in the written entry.
            if (character.is_ascii_whitespace() || breaks_line(character)) && !quoted {
                words.push(std::mem::take(&mut word));
            } else {
                quoted ^= character == '"';
                word.push(character);
            }
        }
        words.push(word);
        Self::from_words(words)
    }

    /// From separate arguments; empty ones are left out.
    pub fn from_words(words: impl IntoIterator<Item = String>) -> Self {
        Self(words.into_iter().filter(|word| !word.is_empty()).collect())
    }

    /// The arguments.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The value of the first `key=value`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|word| value_of(word, key))
    }

    /// Gives a key one value: replaces the first `key=…` in its place and removes the others. If there is none, adds it at the end,
    /// but before a `--`, because everything after it is for init, and before a word with an unclosed quote, because for the kernel
    /// the rest of the line belongs to that word.
    pub fn set(&mut self, key: &str, value: &str) {
        let mut new = Some(format!("{key}={value}"));
        self.0.retain_mut(|word| {
            if value_of(word, key).is_none() {
                return true;
            }
            new.take().map(|new| *word = new).is_some()
        });
        self.insert_at_end(new.into_iter().collect());
    }

    /// Adds arguments at the end, but before what is not the kernel's, as [`KernelArguments::set`] does.
    pub fn insert_at_end(&mut self, words: Vec<String>) {
        let ends = |word: &String| word == "--" || word.matches('"').count() % 2 == 1;
        let end = self.0.iter().position(ends).unwrap_or(self.0.len());
        self.0.splice(end..end, words);
    }

    /// Removes every `key=…`.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|word| value_of(word, key).is_none());
    }

    /// All except `ostree=…`, which changes with every list of deployments.
    pub fn without_ostree(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).filter(|word| value_of(word, "ostree").is_none()).collect()
    }
}

fn value_of<'a>(word: &'a str, key: &str) -> Option<&'a str> {
    word.strip_prefix(key)?.strip_prefix('=')
}

impl fmt::Display for KernelArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ostree_is_replaced_in_its_place() {
        let mut kargs = KernelArguments::parse("root=LABEL=x ostree=/old  quiet ostree=/older");
        kargs.set("ostree", "/new");
        kargs.set("init", "/i");
        assert_eq!(kargs.to_string(), "root=LABEL=x ostree=/new quiet init=/i");
        assert_eq!(kargs.without_ostree(), ["root=LABEL=x", "quiet", "init=/i"]);
        kargs.remove("root");
        assert_eq!(kargs.get("root"), None);
    }

    #[test]
    fn what_is_for_init_stays_behind() {
        let mut kargs = KernelArguments::parse("quiet -- single");
        kargs.set("ostree", "/x");
        assert_eq!(kargs.to_string(), "quiet ostree=/x -- single");
    }

    #[test]
    fn a_quote_that_is_never_closed_takes_nothing_in() {
        let mut kargs = KernelArguments::parse("quiet x=\"a b");
        kargs.set("ostree", "/x");
        assert_eq!(kargs.to_string(), "quiet ostree=/x x=\"a b");
        assert_eq!(KernelArguments::parse(&kargs.to_string()).get("ostree"), Some("/x"));
    }

    #[test]
    fn what_an_entry_has_a_space_for_is_one() {
        let mut kargs = KernelArguments::parse("a\u{2028}ostree=/old\x0bb");
        kargs.set("ostree", "/new");
        assert_eq!(kargs.to_string(), "a ostree=/new b");
    }

    #[test]
    fn quotes_protect_spaces() {
        let kargs = KernelArguments::parse("a=\"b c\" dyndbg=\"file x +p\" end");
        assert_eq!(kargs.words(), ["a=\"b c\"", "dyndbg=\"file x +p\"", "end"]);
        assert_eq!(KernelArguments::parse("a=\"b c").words(), ["a=\"b c"]);
    }

    #[test]
    fn a_name_that_only_begins_the_same_is_another() {
        let kargs = KernelArguments::parse("ostree.prepare-root.composefs=0 ostreex=1 ostree");
        assert_eq!(kargs.get("ostree"), None);
        assert_eq!(kargs.without_ostree().len(), 3);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(words in proptest::collection::vec("[a-z=.]{1,8}(\"[a-z ]{0,5}\")?", 0..6)) {
            let kargs = KernelArguments::from_words(words);
            prop_assert_eq!(KernelArguments::parse(&kargs.to_string()), kargs);
        }
    }
}
