//! The table of all keys: their owners, valid values and fields.

use super::conf::{ComposefsMode, KernelArgumentPolicy, OnFailure, PrepareRootConf};

/// Who reads a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// libostree and firstroot.
    Libostree,
    /// Only firstroot.
    Ours,
}

/// How a value is stored in the configuration.
pub(super) enum Setter {
    /// GKeyFile's four words.
    Boolean(fn(&mut PrepareRootConf, bool)),
    /// `yes`, `no`, and GKeyFile's words.
    YesNo(fn(&mut PrepareRootConf, bool)),
    /// A word; `None` if it is not a valid one.
    Word(fn(&mut PrepareRootConf, &str) -> Option<()>),
}

/// A key.
pub(super) struct Known {
    pub(super) group: &'static str,
    pub(super) key: &'static str,
    pub(super) owner: Owner,
    pub(super) expected: &'static str,
    pub(super) setter: Setter,
}

impl Known {
    /// Whether it is the key of that name in that group.
    pub(super) fn is(&self, group: &str, key: &str) -> bool {
        self.group == group && self.key == key
    }
}

const BOOLEAN: &str = "true, false, 1 or 0";
const YES_NO: &str = "yes or no";

const fn boolean(group: &'static str, key: &'static str, set: fn(&mut PrepareRootConf, bool)) -> Known {
    Known { group, key, owner: Owner::Libostree, expected: BOOLEAN, setter: Setter::Boolean(set) }
}

const fn ours(group: &'static str, key: &'static str, set: fn(&mut PrepareRootConf, bool)) -> Known {
    Known { group, key, owner: Owner::Ours, expected: YES_NO, setter: Setter::YesNo(set) }
}

pub(super) const KNOWN: &[Known] = &[
    boolean("sysroot", "readonly", |conf, on| conf.sysroot_readonly = Some(on)),
    boolean("etc", "transient", |conf, on| conf.etc_transient = on),
    boolean("root", "transient", |conf, on| conf.root_transient = on),
    boolean("root", "transient-ro", |conf, on| conf.root_transient_ro = on),
    Known {
        group: "composefs",
        key: "enabled",
        owner: Owner::Libostree,
        expected: "no, maybe, yes, verity or signed",
        setter: Setter::Word(|conf, word| ComposefsMode::from_value(word).map(|mode| conf.composefs = mode)),
    },
    Known {
        group: "composefs",
        key: "keypath",
        owner: Owner::Libostree,
        expected: "an absolute path",
        setter: Setter::Word(|conf, word| word.starts_with('/').then(|| conf.composefs_keypath = word.to_owned())),
    },
    Known {
        group: "composefs",
        key: "kernel-argument",
        owner: Owner::Ours,
        expected: "allow, strengthen or ignore",
        setter: Setter::Word(|conf, word| {
            conf.composefs_kernel_argument = match word {
                "allow" => KernelArgumentPolicy::Allow,
                "strengthen" => KernelArgumentPolicy::Strengthen,
                "ignore" => KernelArgumentPolicy::Ignore,
                _ => return None,
            };
            Some(())
        }),
    },
    ours("composefs", "unverified-init", |conf, on| conf.composefs_unverified_init = on),
    ours("boot", "mount", |conf, on| conf.boot_mount = Some(on)),
    ours("boot", "recover", |conf, on| conf.boot_recover = on),
    Known {
        group: "boot",
        key: "on-failure",
        owner: Owner::Ours,
        expected: "emergency, reboot or poweroff",
        setter: Setter::Word(|conf, word| {
            conf.on_failure = Some(match word {
                "emergency" => OnFailure::Emergency,
                "reboot" => OnFailure::Reboot,
                "poweroff" => OnFailure::Poweroff,
                _ => return None,
            });
            Some(())
        }),
    },
    Known {
        group: "rollback",
        key: "tries",
        owner: Owner::Ours,
        expected: "a number from 0 to 9",
        setter: Setter::Word(|conf, word| {
            conf.tries = word.parse().ok().filter(|tries| *tries <= 9)?;
            Some(())
        }),
    },
];

pub(super) fn yes_no(value: &str) -> Option<bool> {
    match value.trim_end() {
        "yes" | "on" => Some(true),
        "no" | "off" => Some(false),
        other => crate::keyfile::boolean(other),
    }
}

/// The known name that is nearest to a misspelled one: at most two edits, and at most half of the word.
pub(super) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // No known name is this long, and the comparison takes time for each character.
    const LONGEST: usize = 100;
    if wrong.len() > LONGEST {
        return None;
    }
    let limit = 2.min(wrong.chars().count() / 2);
    let rated = known.map(|name| (edits(wrong, name), name)).filter(|(edits, _)| *edits <= limit);
    rated.min_by_key(|(edits, _)| *edits).map(|(_, name)| name)
}

/// Levenshtein distance, by rows.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in (1..).zip(a.chars()) {
        let mut next = vec![i];
        for ((j, cb), pair) in b.iter().enumerate().zip(row.windows(2)) {
            let (&[diagonal, above], Some(&left)) = (pair, next.get(j)) else { continue };
            next.push((diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
