//! Which deployment a word means that a person has typed: a number, a version, or the first digits of a checksum.

use std::collections::BinaryHeap;
use std::fmt::Write;

use ostree_formats::deployment::{DeploymentId, Stateroot};
use rustix::io::Errno;

use crate::facts::{Deployments, ListedDeployment, Scope};

/// Fewer digits of a checksum are no name, so that a number is none.
pub(crate) const FEWEST_DIGITS: usize = 4;

/// A word, and the argument that it was in, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) word: String,
    /// `firstroot.deployment=1` or `--deployment 1`.
    pub(crate) argument: String,
    /// By the option: only the command that a person types has it, and not the unit that runs again afterwards.
    pub(crate) by_option: bool,
}

/// Why a word means no deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChoiceError {
    #[error("no deployment has that number, version or checksum; {there_are}")]
    Nothing { there_are: String },
    #[error("several deployments have that number, version or checksum: {which}")]
    Several { which: String, numbers: String },
    #[error("that deployment is in the stateroot {found}, and ostree= names the stateroot {asked}")]
    OtherStateroot { found: Stateroot, asked: Stateroot },
    #[error("ostree= names no stateroot of this disk, which has several; {there_are}")]
    NoStateroot { there_are: String },
    #[error("{path} cannot be read: {reason}, so only the name of a deployment counts: {digits}")]
    Unread { path: String, reason: Errno, digits: &'static str },
}

impl ChoiceError {
    /// Without what a list of the deployments shows.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Nothing { .. } => "no deployment has that number, version or checksum".to_owned(),
            Self::Several { numbers, .. } => {
                format!("several deployments have that number, version or checksum: numbers {numbers}")
            }
            Self::NoStateroot { .. } => "ostree= names no stateroot of this disk, which has several".to_owned(),
            other => other.to_string(),
        }
    }
}

/// The deployment that `word` means.
pub(crate) fn choose<'a>(
    deployments: &'a Deployments,
    scope: &Scope,
    word: &str,
) -> Result<&'a ListedDeployment, ChoiceError> {
    let all = &deployments.list;
    let is_alone = || all.windows(2).all(|pair| matches!(pair, [a, b] if a.path.stateroot == b.path.stateroot));
    let asked = match scope {
        Scope::Stateroot(asked) => Some(asked),
        Scope::OnlyStateroot if !is_alone() => {
            return Err(ChoiceError::NoStateroot { there_are: there_are(all) });
        }
        Scope::OnlyStateroot | Scope::Any => None,
    };
    let by_name = |listed: &ListedDeployment| is_name_of(word, &listed.path.id);
    let by_number = |index: usize| word.parse() == Ok(index) && word == index.to_string();
    let matches = |(index, listed): (usize, &ListedDeployment)| {
        let by_commit = listed.version.as_deref() == Some(word);
        by_name(listed) || deployments.unread.is_empty() && (by_number(index) || by_commit)
    };
    let found: Vec<&ListedDeployment> =
        all.iter().enumerate().filter(|named| matches(*named)).map(|(_, listed)| listed).collect();
    let inside: Vec<&ListedDeployment> =
        found.iter().copied().filter(|listed| asked.is_none_or(|asked| listed.path.stateroot == *asked)).collect();
    // A whole name needs no list.
    let unlisted = deployments.unlisted.first().filter(|_| word.parse::<DeploymentId>().is_err());
    if let Some((path, reason)) = unlisted.or(deployments.unread.first().filter(|_| inside.is_empty())) {
        let digits = if unlisted.is_some() { "CHECKSUM.SERIAL" } else { "its first digits" };
        return Err(ChoiceError::Unread { path: path.clone(), reason: *reason, digits });
    }
    match (inside.as_slice(), found.first(), asked) {
        ([only], ..) => Ok(only),
        ([], Some(other), Some(asked)) => {
            Err(ChoiceError::OtherStateroot { found: other.path.stateroot.clone(), asked: asked.clone() })
        }
        ([], ..) => Err(ChoiceError::Nothing { there_are: there_are(all) }),
        (several, ..) => {
            let numbers = several.iter().map(|listed| number_of(all, listed).to_string()).collect::<Vec<_>>();
            Err(ChoiceError::Several { which: shown(all, several.iter().copied()), numbers: numbers.join(", ") })
        }
    }
}

/// Whether a word is the name of a deployment, or its beginning: `CHECKSUM.SERIAL`, `DIGITS` or `DIGITS.SERIAL`.
fn is_name_of(word: &str, id: &DeploymentId) -> bool {
    let (digits, serial) = word.split_once('.').map_or((word, None), |(digits, serial)| (digits, Some(serial)));
    digits.len() >= FEWEST_DIGITS
        && id.commit.as_str().starts_with(digits)
        && serial.is_none_or(|serial| serial == id.deployserial.to_string())
}

/// The shortest word that means the deployment at `index`; `None`: it cannot be chosen.
pub(crate) fn word_for(deployments: &Deployments, scope: &Scope, index: usize) -> Option<String> {
    let id = &deployments.list.get(index)?.path.id;
    let digits = digits_of(&deployments.list);
    let beginning = id.commit.as_str().get(..digits)?;
    let words = [index.to_string(), beginning.to_owned(), format!("{beginning}.{}", id.deployserial), id.to_string()];
    words.into_iter().find(|word| choose(deployments, scope, word).is_ok_and(|chosen| chosen.path.id == *id))
}

/// How many digits tell the checksums of all deployments apart.
pub(crate) fn digits_of(all: &[ListedDeployment]) -> usize {
    digits_needed(all.iter().map(|listed| listed.path.id.commit.as_str()).collect())
}

/// How many of their first characters tell texts apart: at least [`FEWEST_DIGITS`].
pub(crate) fn digits_needed(texts: Vec<&str>) -> usize {
    // A heap is sorted by less code than a slice.
    let texts = BinaryHeap::from(texts).into_sorted_vec();
    let shared = |pair: &[&str]| match pair {
        [one, other] if one != other => one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count(),
        _ => 0,
    };
    let longest = texts.windows(2).map(shared).max().unwrap_or(0);
    FEWEST_DIGITS.max(longest + 1)
}

fn number_of(all: &[ListedDeployment], listed: &ListedDeployment) -> usize {
    all.iter().position(|known| known.path == listed.path).unwrap_or_default()
}

fn there_are(all: &[ListedDeployment]) -> String {
    if all.is_empty() { "there is none".to_owned() } else { format!("there are: {}", shown(all, all.iter())) }
}

/// Number, checksum and version of each, as far as a message can show them.
fn shown<'a>(all: &[ListedDeployment], which: impl Iterator<Item = &'a ListedDeployment>) -> String {
    const MOST: usize = 8;
    let digits = digits_of(all);
    let mut text = String::new();
    for (count, listed) in which.enumerate() {
        if count == MOST {
            text.push_str(", and more");
            break;
        }
        let id = &listed.path.id;
        let number = number_of(all, listed);
        let digits = id.commit.as_str().get(..digits).unwrap_or_default();
        // Writing to a String cannot fail.
        let comma = if count == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{number} ({digits}.{}", id.deployserial);
        if let Some(version) = &listed.version {
            let _ = write!(text, ", version {version}");
        }
        text.push(')');
    }
    text
}

#[cfg(test)]
mod tests;
