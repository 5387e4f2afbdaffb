//! `firstroot check`: would this machine come up after the next reboot, with every entry?

mod deployment;
mod entry;
mod image;
mod initrds;
mod kernel;
pub(crate) mod model;
mod rest;
mod text;

use std::path::Path;

use rustix::io::Errno;

use crate::exit_status::{FAILED, SUCCESS, Status, UNKNOWN};
use crate::place::{Place, as_root};
use crate::read::menu;
use crate::show::print;

use entry::Judge;
use model::{Answer, Check, Finding};

/// Checks and prints. The status is the answer.
pub(crate) fn show(root: Option<&Path>, json: bool) -> Status {
    let place = match Place::open(root, "check") {
        Ok(place) => place,
        Err(error) => {
            log::error!("{error}");
            return UNKNOWN;
        }
    };
    let check = check(&place);
    let status = match check.answer {
        Answer::Yes => SUCCESS,
        Answer::No => FAILED,
        Answer::CannotTell => UNKNOWN,
    };
    // An answer that could not be printed counts as unknown.
    if print::print(&check, json, |page| text::page(&check, page)) == SUCCESS { status } else { UNKNOWN }
}

/// Checks everything.
pub(crate) fn check(place: &Place) -> Check {
    let mut check = Check::default();
    match menu::read(&place.roots) {
        Ok(menu) => {
            for (path, reason) in &menu.damaged {
                let text = format!("the entry cannot be used: {reason}");
                check.findings.push(Finding::bad(path, text, format!("rm {path}; the next update writes new entries")));
            }
            for (path, reason) in &menu.unread {
                check.findings.push(Finding::unknown(path, format!("cannot be read: {reason}"), as_root()));
            }
            let mut judge = Judge::new(place);
            for entry in &menu.entries {
                let checked = judge.entry(entry, &mut check.findings);
                check.entries.push(checked);
            }
            if menu.entries.is_empty() && menu.damaged.is_empty() && menu.unread.is_empty() {
                let what = "the boot menu has no entry of this system".to_owned();
                check.findings.push(Finding::bad("/boot/loader/entries", what, "ostree admin deploy REF".to_owned()));
            }
            rest::staged(&mut judge, &mut check.findings);
        }
        Err(error) => {
            let is_bare = place.roots.boot_is_a_bare_mount_point().unwrap_or(false);
            let mount = if place.runs {
                "mount /boot".to_owned()
            } else {
                format!("mount its /boot at {}/boot", place.root.display())
            };
            check.findings.push(match error.reason {
                Errno::NOENT if is_bare => {
                    Finding::unknown("/boot", "it has no boot menu: is it mounted?".to_owned(), mount)
                }
                Errno::NOENT | Errno::NOTDIR | Errno::LOOP => {
                    let cure =
                        "ls -l /boot; make the link again, to the one that exists: ln -sfn loader.0 /boot/loader"
                            .to_owned();
                    Finding::bad("/boot/loader", format!("there is no boot menu: {error}"), cure)
                }
                _ => Finding::unknown("/boot/loader", error.to_string(), as_root()),
            });
        }
    }
    rest::boot(place, &mut check.findings);
    check.decide();
    check
}

#[cfg(test)]
pub(crate) fn as_text(check: &Check) -> String {
    let mut page = crate::show::page::Page::default();
    text::page(check, &mut page);
    page.render(crate::show::terminal::PLAIN)
}
