//! Figures as they are shown.

use std::fmt;

/// What a figure is a number of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Shown as milliseconds.
    Seconds,
    /// Shown as kilobytes of 1000.
    Bytes,
    /// Of calls.
    Count,
}

/// The largest part of the peer's that ours may be, and what follows when it is more.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Goal {
    /// The same in each run: an error.
    Binding(f64),
    /// It depends on what else the machine does: to be looked at.
    Reported(f64),
    /// There is none, but something to say.
    Note(String),
}

/// Ours beside the peer's.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    /// The figure's name.
    pub(crate) what: String,
    /// Of both numbers.
    pub(crate) unit: Unit,
    /// Ours.
    pub(crate) ours: f64,
    /// The peer's.
    pub(crate) peer: f64,
    /// What was aimed at.
    pub(crate) goal: Goal,
}

/// Comparisons with one peer.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    /// Which peer.
    pub(crate) title: String,
    /// One a line.
    pub(crate) comparisons: Vec<Comparison>,
}

impl Comparison {
    fn ratio(&self) -> f64 {
        self.ours / self.peer
    }

    fn misses_binding_goal(&self) -> bool {
        matches!(self.goal, Goal::Binding(goal) if self.ratio() > goal)
    }
}

impl Section {
    /// Whether every goal is met of those that are the same in each run.
    pub(crate) fn goals_met(&self) -> bool {
        !self.comparisons.iter().any(Comparison::misses_binding_goal)
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Unit::Seconds => format!("{:.2} ms", value * 1e3),
            Unit::Bytes => format!("{:.0} kB", value / 1e3),
            Unit::Count => format!("{value:.0}   "),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { what, unit, goal, .. } = self;
        let ratio = self.ratio();
        write!(f, "{what:<50} {:>10} {:>10} {ratio:>7.3}", unit.show(self.ours), unit.show(self.peer))?;
        match goal {
            Goal::Binding(goal) | Goal::Reported(goal) if ratio <= *goal => write!(f, "  {goal:>5.3}  met"),
            Goal::Binding(goal) => write!(f, "  {goal:>5.3}  MISSED"),
            Goal::Reported(goal) => write!(f, "  {goal:>5.3}  MISSED (no error: it depends on the machine)"),
            Goal::Note(note) => write!(f, "  {note}"),
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<50} {:>10} {:>10} {:>7}  {:>5}", self.title, "firstroot", "libostree", "ratio", "goal")?;
        self.comparisons.iter().try_for_each(|comparison| writeln!(f, "{comparison}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(ours: f64, goal: Goal) -> Section {
        let comparison = Comparison { what: "calls".to_owned(), unit: Unit::Count, ours, peer: 300.0, goal };
        Section { title: "title".to_owned(), comparisons: vec![comparison] }
    }

    #[test]
    fn a_missed_goal_is_said() {
        assert!(section(76.0, Goal::Binding(0.25)).to_string().contains("MISSED"));
        assert!(section(76.0, Goal::Reported(0.25)).to_string().contains("MISSED"));
        assert!(!section(75.0, Goal::Binding(0.25)).to_string().contains("MISSED"));
    }

    #[test]
    fn only_what_is_the_same_in_each_run_is_an_error() {
        assert!(!section(76.0, Goal::Binding(0.25)).goals_met());
        assert!(section(76.0, Goal::Reported(0.25)).goals_met());
        assert!(section(75.0, Goal::Binding(0.25)).goals_met());
    }
}
