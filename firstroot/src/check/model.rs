//! The answer and its reasons: values.

use serde::Serialize;

/// Whether something boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    #[default]
    Yes,
    No,
    CannotTell,
}

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Severity {
    /// Something does not boot.
    Bad,
    /// It could not be found out.
    Unknown,
    /// It boots, but this needs attention.
    Note,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// A path, or a deployment.
    pub(crate) about: String,
    pub(crate) text: String,
    /// What to do.
    pub(crate) cure: String,
}

impl Finding {
    pub(crate) fn bad(about: &str, text: String, cure: String) -> Self {
        Self { severity: Severity::Bad, about: about.to_owned(), text, cure }
    }

    pub(crate) fn unknown(about: &str, text: String, cure: String) -> Self {
        Self { severity: Severity::Unknown, about: about.to_owned(), text, cure }
    }

    pub(crate) fn note(about: &str, text: String, cure: String) -> Self {
        Self { severity: Severity::Note, about: about.to_owned(), text, cure }
    }
}

/// An entry of the boot menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct CheckedEntry {
    pub(crate) entry: String,
    pub(crate) title: String,
    /// `None`: it leads to none.
    pub(crate) deployment: Option<String>,
    pub(crate) boots: Answer,
    /// The program in its initramfs that prepares the root, and whose it is.
    pub(crate) prepare_root: Option<String>,
}

/// The result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Check {
    pub(crate) answer: Answer,
    pub(crate) entries: Vec<CheckedEntry>,
    pub(crate) findings: Vec<Finding>,
}

impl Check {
    /// Decides: one thing that is bad is a no, whatever else is unknown.
    pub(crate) fn decide(&mut self) {
        let mut seen: Vec<Finding> = Vec::new();
        // Two entries with one kernel have the same findings.
        self.findings.retain(|finding| {
            let is_new = !seen.contains(finding);
            if is_new {
                seen.push(finding.clone());
            }
            is_new
        });
        self.answer = answer(&self.findings);
    }
}

/// The answer that findings give.
pub(crate) fn answer(findings: &[Finding]) -> Answer {
    let has = |severity| findings.iter().any(|finding| finding.severity == severity);
    match (has(Severity::Bad), has(Severity::Unknown)) {
        (true, _) => Answer::No,
        (false, true) => Answer::CannotTell,
        (false, false) => Answer::Yes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_thing_is_a_no_and_a_note_is_none() {
        let of = |severities: &[Severity]| {
            let finding = |severity: &Severity| Finding {
                severity: *severity,
                ..Finding::note("x", String::new(), String::new())
            };
            answer(&severities.iter().map(finding).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), Answer::Yes);
        assert_eq!(of(&[Severity::Note]), Answer::Yes);
        assert_eq!(of(&[Severity::Note, Severity::Unknown]), Answer::CannotTell);
        assert_eq!(of(&[Severity::Unknown, Severity::Bad]), Answer::No);
    }
}
