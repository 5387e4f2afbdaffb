//! The plan of the merge: pure.

use serde::Serialize;
use system::dir::Kind;

use super::conflict::{Conflict, word};
use super::difference::{Difference, kept};
use super::path::EtcPath;

/// One step in the new tree's `etc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// The machine has removed it: remove the new tree's file, or directory with its content.
    Remove(EtcPath),
    /// Remove the new tree's file, because a directory replaces it.
    MakeWay(EtcPath),
    /// Make the directory, with the owner, mode and attributes of the machine's directory.
    Directory(EtcPath),
    /// Replace the new tree's file by the machine's file or link.
    Replace(EtcPath),
}

impl Step {
    /// What it changes.
    pub(crate) fn path(&self) -> &EtcPath {
        let (Self::Remove(path) | Self::MakeWay(path) | Self::Directory(path) | Self::Replace(path)) = self;
        path
    }
}

/// The merge of `/etc`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct EtcMergePlan {
    /// In order of execution: a directory comes before its content.
    pub(crate) steps: Vec<Step>,
    /// Not shipped, but on the machine.
    pub(crate) added: Vec<EtcPath>,
    /// Shipped, but different on the machine.
    pub(crate) modified: Vec<EtcPath>,
    /// Shipped, but not on the machine.
    pub(crate) removed: Vec<EtcPath>,
    /// If there is a conflict, no step is executed.
    pub(crate) conflicts: Vec<Conflict>,
}

/// Plans the merge of what differs.
pub(crate) fn plan(differences: &[Difference]) -> EtcMergePlan {
    let mut plan = EtcMergePlan::default();
    let mut inside: Vec<Inside> = Vec::with_capacity(differences.len());
    for ((index, difference), is_kept) in differences.iter().enumerate().zip(kept(differences)) {
        let outer = difference.parent.and_then(|parent| inside.get(parent)).copied().unwrap_or(Inside::Counted);
        let rest = differences.get(index + 1..).unwrap_or_default();
        inside.push(match outer {
            Inside::LeftOut => Inside::LeftOut,
            _ => plan.visit(difference, is_kept, outer, rest),
        });
    }
    plan
}

/// How the differences in a directory are treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Each one is counted as a change.
    Counted,
    /// The directory was shipped as another kind of file: its content is part of that one change, as with libostree.
    Uncounted,
    /// They are not merged.
    LeftOut,
}

impl EtcMergePlan {
    /// `rest` is the rest of the list, which begins with the content of this directory.
    fn visit(&mut self, difference: &Difference, is_kept: bool, outer: Inside, rest: &[Difference]) -> Inside {
        if outer == Inside::Counted {
            self.count(difference);
        }
        let path = &difference.path;
        match difference.machine {
            None if difference.new.is_some() => self.steps.push(Step::Remove(path.clone())),
            None => {}
            Some(Kind::Directory) => return self.visit_directory(difference, is_kept, outer, rest),
            Some(kind) if difference.new == Some(Kind::Directory) => {
                self.conflict(path, kind, Kind::Directory, Vec::new());
            }
            Some(_) => self.steps.push(Step::Replace(path.clone())),
        }
        Inside::LeftOut
    }

    fn visit_directory(
        &mut self,
        difference: &Difference,
        is_kept: bool,
        outer: Inside,
        rest: &[Difference],
    ) -> Inside {
        let path = &difference.path;
        match difference.new {
            Some(Kind::Directory) if difference.changed => self.steps.push(Step::Directory(path.clone())),
            Some(Kind::Directory) => {}
            // The new tree no longer has it: it is made for the machine's own files, without the files that were shipped in it.
            None if is_kept => self.steps.push(Step::Directory(path.clone())),
            None => {}
            // The old tree had a directory here, the new one has another kind of file. So there is no place for the machine's
            // changes, and writing them through a link would put them into a place that the administrator did not choose.
            Some(new) if difference.shipped == Some(Kind::Directory) => {
                if is_kept {
                    let below = rest.iter().take_while(|inner| inner.path.is_below(path));
                    let files = below.filter(|inner| !matches!(inner.machine, None | Some(Kind::Directory)));
                    let in_the_way = files.map(|inner| inner.path.clone()).collect();
                    self.conflict(path, Kind::Directory, new, in_the_way);
                }
                return Inside::LeftOut;
            }
            Some(_) => {
                self.steps.push(Step::MakeWay(path.clone()));
                self.steps.push(Step::Directory(path.clone()));
            }
        }
        let retyped = matches!(difference.shipped, Some(kind) if kind != Kind::Directory);
        if retyped { Inside::Uncounted } else { outer }
    }

    fn count(&mut self, difference: &Difference) {
        if difference.changed {
            let list = match (difference.shipped, difference.machine) {
                (_, None) => &mut self.removed,
                (None, Some(_)) => &mut self.added,
                (Some(_), Some(_)) => &mut self.modified,
            };
            list.push(difference.path.clone());
        }
    }

    fn conflict(&mut self, path: &EtcPath, machine: Kind, new: Kind, in_the_way: Vec<EtcPath>) {
        self.conflicts.push(Conflict { path: path.clone(), machine: word(machine), new: word(new), in_the_way });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Option<Kind> = Some(Kind::File);
    const LINK: Option<Kind> = Some(Kind::Link);
    const DIRECTORY: Option<Kind> = Some(Kind::Directory);

    /// A difference, and those in it.
    struct Node(Difference, Vec<Node>);

    fn difference(name: &str, shipped: Option<Kind>, machine: Option<Kind>, new: Option<Kind>) -> Node {
        let path = EtcPath::default().join(name.as_bytes());
        Node(Difference { path, parent: None, shipped, machine, changed: true, new }, Vec::new())
    }

    fn changed_directory(name: &str, shipped: Option<Kind>, new: Option<Kind>, below: Vec<Node>) -> Node {
        Node(difference(name, shipped, DIRECTORY, new).0, below)
    }

    fn unchanged_directory(name: &str, new: Option<Kind>, below: Vec<Node>) -> Node {
        Node(Difference { changed: false, ..difference(name, DIRECTORY, DIRECTORY, new).0 }, below)
    }

    fn add(list: &mut Vec<Difference>, node: Node, parent: usize, path: &EtcPath) {
        let name = node.0.path.split().unwrap().1.to_vec();
        let (path, index) = (path.join(&name), list.len());
        list.push(Difference { path: path.clone(), parent: Some(parent), ..node.0 });
        node.1.into_iter().for_each(|inner| add(list, inner, index, &path));
    }

    fn planned(differences: Vec<Node>) -> EtcMergePlan {
        let etc = Difference {
            path: EtcPath::default(),
            parent: None,
            shipped: DIRECTORY,
            machine: DIRECTORY,
            changed: false,
            new: DIRECTORY,
        };
        let mut list = vec![etc];
        differences.into_iter().for_each(|node| add(&mut list, node, 0, &EtcPath::default()));
        plan(&list)
    }

    fn steps(differences: Vec<Node>) -> Vec<String> {
        let plan = planned(differences);
        assert_eq!(plan.conflicts, []);
        let show = |step: &Step| match step {
            Step::Remove(path) => format!("remove {path}"),
            Step::MakeWay(path) => format!("make way {path}"),
            Step::Directory(path) => format!("directory {path}"),
            Step::Replace(path) => format!("replace {path}"),
        };
        plan.steps.iter().map(show).collect()
    }

    fn conflict(differences: Vec<Node>) -> String {
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
        let text = "/etc/a is a file on this machine (changed) but a directory in the new tree";
        assert_eq!(conflict(vec![difference("a", FILE, FILE, DIRECTORY)]), text);
        assert_eq!(conflict(vec![difference("a", None, FILE, DIRECTORY)]), text);
    }

    #[test]
    fn nothing_is_written_through_a_link_of_the_new_tree() {
        let inside = || vec![difference("x", FILE, FILE, None)];
        let text = "/etc/d is a directory on this machine (changed) but a link in the new tree; \
            this machine's files in it: /etc/d/x";
        assert_eq!(conflict(vec![unchanged_directory("d", LINK, inside())]), text);
        // Only removals in it: the link is what the machine gets.
        assert_eq!(steps(vec![unchanged_directory("d", LINK, vec![difference("x", FILE, None, None)])]), [""; 0]);
    }

    #[test]
    fn a_dropped_directory_comes_back_only_for_what_is_the_machines() {
        let mine = difference("mine", None, FILE, None);
        let gone = || difference("gone", FILE, None, None);
        let directory = unchanged_directory("d", None, vec![mine, gone()]);
        assert_eq!(steps(vec![directory]), ["directory /etc/d", "replace /etc/d/mine"]);
        assert_eq!(steps(vec![unchanged_directory("d", None, vec![gone()])]), [""; 0]);
        // Its mode was changed: that is the machine's, too.
        assert_eq!(steps(vec![difference("d", DIRECTORY, DIRECTORY, None)]), ["directory /etc/d"]);
    }

    #[test]
    fn a_file_that_both_turned_into_a_directory_has_what_both_put_there() {
        let inner = difference("x", None, FILE, FILE);
        let directory = changed_directory("d", FILE, DIRECTORY, vec![inner]);
        assert_eq!(steps(vec![directory]), ["directory /etc/d", "replace /etc/d/x"]);
    }

    #[test]
    fn a_directory_of_the_machine_replaces_a_file() {
        let directory = changed_directory("d", FILE, FILE, vec![difference("x", None, FILE, None)]);
        assert_eq!(steps(vec![directory]), ["make way /etc/d", "directory /etc/d", "replace /etc/d/x"]);
    }

    #[test]
    fn of_many_files_in_the_way_the_first_are_named() {
        let files = (0..25).map(|number| difference(&format!("{number:02}"), None, FILE, None)).collect();
        let text = conflict(vec![unchanged_directory("d", LINK, files)]);
        assert!(
            text.ends_with(
                ": /etc/d/00, /etc/d/01, /etc/d/02, /etc/d/03, /etc/d/04, /etc/d/05, /etc/d/06, \
            /etc/d/07, /etc/d/08, /etc/d/09, and 15 more"
            ),
            "{text}"
        );
    }

    #[test]
    fn an_unchanged_directory_is_not_counted() {
        let plan = planned(vec![unchanged_directory("d", DIRECTORY, vec![difference("x", FILE, FILE, FILE)])]);
        assert_eq!((plan.modified.len(), plan.added.len(), plan.removed.len()), (1, 0, 0));
    }
}
