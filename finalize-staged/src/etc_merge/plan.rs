//! What the merge will do: pure.

use std::fmt;

use serde::Serialize;
use system::dir::Kind;

use super::difference::Difference;
use super::path::EtcPath;

/// One thing to be done in the new tree's `etc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// What is there goes, with all that is in it.
    Remove(EtcPath),
    /// A directory is there, with the owner, mode and attributes of the machine's.
    Directory(EtcPath),
    /// The machine's file or link is there, in place of what was.
    Replace(EtcPath),
}

/// Two things that cannot both be there, and no rule says which the machine needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Conflict {
    /// Where.
    pub(crate) path: EtcPath,
    /// What the machine has there.
    pub(crate) machine: &'static str,
    /// What the new tree has there.
    pub(crate) new: &'static str,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, machine, new } = self;
        write!(f, "{path} is {machine} that was changed on this machine, and {new} in the new tree")
    }
}

/// The merge of `/etc`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct EtcMergePlan {
    /// In the order in which they are done: a directory before what is in it.
    pub(crate) steps: Vec<Step>,
    /// Not shipped, and there.
    pub(crate) added: Vec<EtcPath>,
    /// Shipped, and there in another form.
    pub(crate) modified: Vec<EtcPath>,
    /// Shipped, and not there.
    pub(crate) removed: Vec<EtcPath>,
    /// With any of these nothing is done.
    pub(crate) conflicts: Vec<Conflict>,
}

/// Plans the merge of what differs, which begins at `/etc` itself.
pub(crate) fn plan(root: &Difference) -> EtcMergePlan {
    let mut plan = EtcMergePlan::default();
    plan.visit(root, &EtcPath::default(), Count::Yes);
    plan
}

/// Whether what is found is one of the changes that are counted. What is in a directory that was shipped as something else is
/// part of that one change, to libostree as well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Count {
    Yes,
    No,
}

impl EtcMergePlan {
    fn visit(&mut self, difference: &Difference, path: &EtcPath, count: Count) {
        if count == Count::Yes {
            self.count(difference, path);
        }
        match difference.machine {
            None if difference.new.is_some() => self.steps.push(Step::Remove(path.clone())),
            None => {}
            Some(Kind::Directory) => self.visit_directory(difference, path, count),
            Some(kind) if difference.new == Some(Kind::Directory) => self.conflict(path, kind, Kind::Directory),
            Some(_) => self.steps.push(Step::Replace(path.clone())),
        }
    }

    fn visit_directory(&mut self, difference: &Difference, path: &EtcPath, count: Count) {
        match difference.new {
            Some(Kind::Directory) if difference.changed => self.steps.push(Step::Directory(path.clone())),
            Some(Kind::Directory) => {}
            // The new tree has dropped it: it comes back for what is the machine's own, and not with what was shipped in it.
            None if difference.is_kept() => self.steps.push(Step::Directory(path.clone())),
            None => {}
            // Shipped as a directory once, and as something else now: the machine's changes have no place any more, and
            // writing them through a link would put them where nobody wants them.
            Some(new) if difference.shipped == Some(Kind::Directory) => {
                if difference.is_kept() {
                    self.conflict(path, Kind::Directory, new);
                }
                return;
            }
            Some(_) => {
                self.steps.push(Step::Remove(path.clone()));
                self.steps.push(Step::Directory(path.clone()));
            }
        }
        let retyped = matches!(difference.shipped, Some(kind) if kind != Kind::Directory);
        let count = if retyped { Count::No } else { count };
        for inner in &difference.below {
            self.visit(inner, &path.join(&inner.name), count);
        }
    }

    fn count(&mut self, difference: &Difference, path: &EtcPath) {
        if difference.changed {
            let list = match (difference.shipped, difference.machine) {
                (_, None) => &mut self.removed,
                (None, Some(_)) => &mut self.added,
                (Some(_), Some(_)) => &mut self.modified,
            };
            list.push(path.clone());
        }
    }

    fn conflict(&mut self, path: &EtcPath, machine: Kind, new: Kind) {
        self.conflicts.push(Conflict { path: path.clone(), machine: word(machine), new: word(new) });
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::Directory => "a directory",
        Kind::Link => "a link",
        Kind::Other => "a special file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Option<Kind> = Some(Kind::File);
    const LINK: Option<Kind> = Some(Kind::Link);
    const DIRECTORY: Option<Kind> = Some(Kind::Directory);

    fn difference(name: &str, shipped: Option<Kind>, machine: Option<Kind>, new: Option<Kind>) -> Difference {
        Difference { name: name.into(), shipped, machine, changed: true, new, below: Vec::new() }
    }

    fn unchanged_directory(name: &str, new: Option<Kind>, below: Vec<Difference>) -> Difference {
        Difference { changed: false, below, ..difference(name, DIRECTORY, DIRECTORY, new) }
    }

    fn planned(differences: Vec<Difference>) -> EtcMergePlan {
        plan(&unchanged_directory("", DIRECTORY, differences))
    }

    fn steps(differences: Vec<Difference>) -> Vec<String> {
        let plan = planned(differences);
        assert_eq!(plan.conflicts, []);
        let show = |step: &Step| match step {
            Step::Remove(path) => format!("remove {path}"),
            Step::Directory(path) => format!("directory {path}"),
            Step::Replace(path) => format!("replace {path}"),
        };
        plan.steps.iter().map(show).collect()
    }

    fn conflict(differences: Vec<Difference>) -> String {
        planned(differences).conflicts.first().expect("a conflict").to_string()
    }

    #[test]
    fn what_the_machine_changed_wins_over_what_the_new_tree_has() {
        for new in [None, FILE, LINK] {
            assert_eq!(steps(vec![difference("a", FILE, LINK, new)]), ["replace /etc/a"]);
            assert_eq!(steps(vec![difference("a", None, FILE, new)]), ["replace /etc/a"]);
        }
    }

    #[test]
    fn what_was_removed_is_removed_where_it_is_still_shipped() {
        assert_eq!(steps(vec![difference("a", DIRECTORY, None, DIRECTORY)]), ["remove /etc/a"]);
        assert_eq!(steps(vec![difference("a", FILE, None, None)]), [""; 0]);
    }

    #[test]
    fn a_file_where_the_new_tree_has_a_directory_is_a_conflict() {
        let text = "/etc/a is a file that was changed on this machine, and a directory in the new tree";
        assert_eq!(conflict(vec![difference("a", FILE, FILE, DIRECTORY)]), text);
        assert_eq!(conflict(vec![difference("a", None, FILE, DIRECTORY)]), text);
    }

    #[test]
    fn nothing_is_written_through_a_link_of_the_new_tree() {
        let inside = || vec![difference("x", FILE, FILE, None)];
        let text = "/etc/d is a directory that was changed on this machine, and a link in the new tree";
        assert_eq!(conflict(vec![unchanged_directory("d", LINK, inside())]), text);
        // Only removals in it: the link is what the machine gets.
        assert_eq!(steps(vec![unchanged_directory("d", LINK, vec![difference("x", FILE, None, None)])]), [""; 0]);
    }

    #[test]
    fn a_dropped_directory_comes_back_only_for_what_is_the_machines() {
        let mine = difference("mine", None, FILE, None);
        let gone = difference("gone", FILE, None, None);
        let directory = unchanged_directory("d", None, vec![mine, gone.clone()]);
        assert_eq!(steps(vec![directory]), ["directory /etc/d", "replace /etc/d/mine"]);
        assert_eq!(steps(vec![unchanged_directory("d", None, vec![gone])]), [""; 0]);
        // Its mode was changed: that is the machine's, too.
        assert_eq!(steps(vec![difference("d", DIRECTORY, DIRECTORY, None)]), ["directory /etc/d"]);
    }

    #[test]
    fn a_file_that_both_turned_into_a_directory_has_what_both_put_there() {
        let inner = difference("x", None, FILE, FILE);
        let directory = Difference { below: vec![inner], ..difference("d", FILE, DIRECTORY, DIRECTORY) };
        assert_eq!(steps(vec![directory]), ["directory /etc/d", "replace /etc/d/x"]);
    }

    #[test]
    fn a_directory_of_the_machine_replaces_a_file() {
        let directory =
            Difference { below: vec![difference("x", None, FILE, None)], ..difference("d", FILE, DIRECTORY, FILE) };
        assert_eq!(steps(vec![directory]), ["remove /etc/d", "directory /etc/d", "replace /etc/d/x"]);
    }

    #[test]
    fn an_unchanged_directory_is_not_counted() {
        let plan = planned(vec![unchanged_directory("d", DIRECTORY, vec![difference("x", FILE, FILE, FILE)])]);
        assert_eq!((plan.modified.len(), plan.added.len(), plan.removed.len()), (1, 0, 0));
    }
}
