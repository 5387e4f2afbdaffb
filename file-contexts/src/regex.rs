//! Regexes, compiled when a lookup reaches them, and kept within bounds.

mod class;
mod translate;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use regex_lite::{Regex, RegexBuilder};

use crate::error::{Quoted, Source};
use crate::path::Path;

/// Those of Debian's policies have at most 73 bytes. libselinux compiles up to 4095; what that takes of memory here is too much for one.
const LONGEST: usize = 256;
/// Of groups in groups.
const DEEPEST: u32 = 50;
/// What the states of a regex may take of memory: for each byte of its text, and for what a count makes of a short one.
const STATES_PER_BYTE: usize = 40;
const STATES_AT_LEAST: usize = 4 << 10;

/// What all compiled regexes may take together, for each byte of the files.
const KEPT_PER_BYTE: usize = 32;
const KEPT_AT_LEAST: usize = 16 << 10;
/// What a compiled regex takes at most, and beside that for each of its bytes.
const WEIGHT_AT_LEAST: usize = 1 << 10;
const WEIGHT_PER_BYTE: usize = 192;
/// What the engine takes for matching, in times of what the states take.
const WEIGHT_OF_STATES: usize = 4;

/// Bytes of regexes times bytes of the path that a lookup may take, for each byte of the files.
const WORK_PER_BYTE: usize = 8;
const WORK_AT_LEAST: usize = 512 << 10;
/// Compiling one takes as long as matching so many bytes with each of its bytes, and so much whatever its length.
const WORK_OF_COMPILING: usize = 64;
const WORK_OF_ONE: usize = 1 << 10;

/// Of regexes that cannot be compiled.
const MOST_COMPLAINTS: usize = 50;

/// The regexes that lookups have reached.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// By the line's number in the order of all.
    kept: RefCell<BTreeMap<u32, Regex>>,
    /// What they take, about.
    weight: Cell<usize>,
    most_weight: usize,
    most_work: usize,
    broken: RefCell<BTreeSet<u32>>,
    given_up: Cell<usize>,
}

impl Compiled {
    /// None yet, of files of so many bytes.
    pub(crate) fn of_text(size: usize) -> Compiled {
        Compiled {
            kept: RefCell::default(),
            weight: Cell::default(),
            most_weight: KEPT_AT_LEAST + KEPT_PER_BYTE * size,
            most_work: WORK_AT_LEAST + WORK_PER_BYTE * size,
            broken: RefCell::default(),
            given_up: Cell::default(),
        }
    }

    /// Begins a lookup.
    pub(crate) fn lookup<'a>(&'a self, path: &'a Path<'a>) -> Lookup<'a> {
        Lookup { all: self, path, subject: None, work: self.most_work }
    }

    /// What is wrong with the regexes that could not be compiled. `line` finds a line: where it stands, and its regex.
    pub(crate) fn complaints<'a>(&self, line: impl Fn(u32) -> Option<((Source, u32), &'a str)>) -> Vec<String> {
        let broken = self.broken.borrow();
        let complaint = |id: &u32| {
            let ((source, number), regex) = line(*id)?;
            let reason = compile(regex).err().unwrap_or_default();
            Some(format!("{source}:{number}: {}: {reason}", Quoted::new(regex)))
        };
        let mut complaints: Vec<String> = broken.iter().take(MOST_COMPLAINTS).filter_map(complaint).collect();
        if broken.len() > MOST_COMPLAINTS {
            complaints.push(format!("and {} other regexes that cannot be compiled", broken.len() - MOST_COMPLAINTS));
        }
        if self.given_up.get() > 0 {
            complaints.push(format!("{} lookups were given up: too many regexes fit the path", self.given_up.get()));
        }
        complaints
    }

    fn is_match(&self, id: u32, regex: &str, subject: &str) -> bool {
        if self.broken.borrow().contains(&id) {
            return false;
        }
        let mut kept = self.kept.borrow_mut();
        if let Some(regex) = kept.get(&id) {
            return regex.is_match(subject);
        }
        let Ok(compiled) = compile(regex) else {
            self.broken.borrow_mut().insert(id);
            return false;
        };
        let weight = weight(regex);
        if self.weight.get() + weight > self.most_weight {
            kept.clear();
            self.weight.set(0);
        }
        self.weight.set(self.weight.get() + weight);
        kept.entry(id).or_insert(compiled).is_match(subject)
    }
}

/// One lookup: the path, and the work that it may still cause.
#[derive(Debug)]
pub(crate) struct Lookup<'a> {
    all: &'a Compiled,
    path: &'a Path<'a>,
    subject: Option<Subject>,
    work: usize,
}

/// A path as the engine reads it.
#[derive(Debug)]
struct Subject {
    whole: String,
    /// PCRE's `$` matches before a final line feed, too; that of this engine does not.
    without_line_feed: Option<String>,
}

impl Lookup<'_> {
    /// Whether the regex matches; one that cannot be compiled does not. `None`: the lookup has taken too long.
    pub(crate) fn matches(&mut self, id: u32, regex: &str) -> Option<bool> {
        let bytes = WORK_OF_COMPILING + self.path.bytes().len();
        let Some(work) = self.work.checked_sub(WORK_OF_ONE + bytes.saturating_mul(regex.len())) else {
            self.all.given_up.set(self.all.given_up.get().saturating_add(1));
            return None;
        };
        self.work = work;
        let subject = self.subject.get_or_insert_with(|| {
            let whole = self.path.characters();
            let without_line_feed = whole.strip_suffix('\n').map(str::to_owned);
            Subject { whole, without_line_feed }
        });
        let is_match = |subject: &str| self.all.is_match(id, regex, subject);
        Some(is_match(&subject.whole) || subject.without_line_feed.as_deref().is_some_and(is_match))
    }
}

/// What a compiled regex takes at most. How much a count makes of it is not known, but that it is within the bound.
fn weight(regex: &str) -> usize {
    if regex.contains('{') {
        WEIGHT_OF_STATES * most_memory_of_states(regex)
    } else {
        WEIGHT_AT_LEAST + WEIGHT_PER_BYTE * regex.len()
    }
}

fn most_memory_of_states(regex: &str) -> usize {
    STATES_AT_LEAST + STATES_PER_BYTE * regex.len()
}

/// As libselinux compiles it: from the beginning of the path to its end. The reason, if it cannot be.
fn compile(regex: &str) -> Result<Regex, String> {
    if regex.len() > LONGEST {
        return Err(format!("longer than {LONGEST} bytes"));
    }
    let translated = translate::translate(regex)?;
    RegexBuilder::new(&format!("^{translated}$"))
        .dot_matches_new_line(true)
        .nest_limit(DEEPEST)
        .size_limit(most_memory_of_states(regex))
        .build()
        .map_err(|error| error.to_string())
}
