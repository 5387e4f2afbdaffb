//! The SELinux label of a path, as libselinux finds it, from the text of a policy's file contexts. No I/O, no C library.
//!
//! ```text
//! file_contexts, .homedirs, .local ──→ lines ──→ Line ─┬→ Index of literals ─┐
//! .subs, .subs_dist ──→ Substitutions                  └→ Index of regexes ──┤
//!                            ↑                                               ↓
//! path ──→ clean_path ───────┘───────────────────────────────→ literal, else last regex ──→ label
//! ```
//!
//! A line that names a path exactly wins over every regex. Else the last line wins whose regex matches. Regexes are compiled when
//! a lookup reaches them. One that cannot be compiled is skipped, and [`FileContexts::broken`] names it.

mod certain;
mod error;
mod index;
mod lines;
mod path;
mod prefix;
mod regex;
mod subs;
mod texts;

pub use error::{FileContextsError, Found, Source};
pub use texts::{FileKind, Texts};

use crate::index::Index;
use crate::lines::{Line, Lines};
use crate::path::{Path, clean_path};
use crate::regex::Compiled;
use crate::subs::Substitutions;
use crate::texts::NO_LABEL;

/// The labels of one policy.
#[derive(Debug)]
pub struct FileContexts {
    lines: Lines,
    /// Lines without a regex, by the path that they name.
    literals: Index,
    /// The other lines, by the directories that they begin with.
    regexes: Index,
    subs: Substitutions,
    subs_dist: Substitutions,
    compiled: Compiled,
}

impl FileContexts {
    /// Reads the texts of a policy.
    ///
    /// # Errors
    /// Of the first line that libselinux would not read either, and of a label that is none.
    pub fn parse(texts: Texts<'_>) -> Result<FileContexts, FileContextsError> {
        let lines = Lines::parse(texts)?;
        let (mut literals, mut regexes) = (Index::default(), Index::default());
        for (id, line) in lines.all() {
            let regex = lines.regex(line);
            match prefix::literal(regex) {
                Some(path) => literals.add(index::hash_of(&path), id),
                None => regexes.add(prefix::stem(regex), id),
            }
        }
        literals.finish();
        regexes.finish();
        let compiled = Compiled::of_text(lines.size());
        let subs = Substitutions::parse(texts.subs.unwrap_or_default());
        let subs_dist = Substitutions::parse(texts.subs_dist.unwrap_or_default());
        Ok(FileContexts { lines, literals, regexes, subs, subs_dist, compiled })
    }

    /// The label of `path`, which begins with `/`; without a kind lines for any kind count. `None`: the policy has no label for it.
    pub fn label(&self, path: &[u8], kind: Option<FileKind>) -> Option<&str> {
        let path = clean_path(path)?;
        let path = self.subs.apply(path);
        let path = Path::new(self.subs_dist.apply(path));
        let line = self.literal(&path, kind).or_else(|| self.last_regex(&path, kind))?;
        let label = self.lines.label(line);
        (label != NO_LABEL).then_some(label)
    }

    /// The regexes that a lookup has reached and that could not be compiled: file, line and reason. Lookups skip them. There may be a
    /// last entry about lookups that were given up because they took too long.
    pub fn broken(&self) -> Vec<String> {
        self.compiled.complaints(|id| {
            let line = self.lines.get(id)?;
            Some((line.place(), self.lines.regex(line)))
        })
    }

    /// The last line that names this path.
    fn literal(&self, path: &Path<'_>, kind: Option<FileKind>) -> Option<&Line> {
        let named = self.literals.last_first(&[index::hash_of(path.bytes())]);
        named.filter_map(|id| self.lines.get(id)).find(|line| {
            let literal = prefix::literal(self.lines.regex(line));
            literal.is_some_and(|literal| *literal == *path.bytes()) && line.is_for(kind)
        })
    }

    /// The last line whose regex matches.
    fn last_regex(&self, path: &Path<'_>, kind: Option<FileKind>) -> Option<&Line> {
        let mut lookup = self.compiled.lookup(path);
        for id in self.regexes.last_first(&prefix::stems_of_path(path.bytes())) {
            let line = self.lines.get(id).filter(|line| line.is_for(kind));
            let Some(line) = line else { continue };
            let regex = self.lines.regex(line);
            let may_match = line.has_branches || certain::may_match(regex, path.bytes());
            if may_match && lookup.matches(id, regex)? {
                return Some(line);
            }
        }
        None
    }
}
