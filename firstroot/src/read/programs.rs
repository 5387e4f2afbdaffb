//! Which of libostree's programs firstroot replaces on this machine. The program that a unit runs is looked at, not only its name.

use std::collections::BTreeMap;

use finalize_staged::inspect::{self, UnitCommand};
use ostree_sysroot::Roots;
use rustix::io::Errno;
use serde::Serialize;
use system::dir;

use crate::initramfs::contents::find;

/// Units of libostree, and the key with the command that counts.
const UNITS: [(&str, &str); 4] = [
    ("ostree-finalize-staged", "ExecStop"),
    ("ostree-finalize-staged-hold", "ExecStart"),
    ("ostree-boot-complete", "ExecStart"),
    ("ostree-remount", "ExecStart"),
];
/// Programs that no unit of the running system starts, with the places where they may be, the one that counts first.
const FILES: [(&str, &[&str]); 2] = [
    ("ostree-prepare-root", &["/usr/lib/firstroot/ostree-prepare-root", "/usr/lib/ostree/ostree-prepare-root"]),
    (
        "ostree-system-generator",
        &[
            "/etc/systemd/system-generators/ostree-system-generator",
            "/usr/local/lib/systemd/system-generators/ostree-system-generator",
            "/usr/lib/systemd/system-generators/ostree-system-generator",
        ],
    ),
];
/// In each of firstroot's programs, before the version.
const MARK: &[u8] = b"(firstroot) ";
/// Larger than any of them.
const LIMIT: u64 = 16 << 20;

/// Whose a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Owner {
    Firstroot,
    Libostree,
    /// There is no such program.
    Missing,
    /// It could not be read.
    Unknown,
}

/// One of libostree's programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Replaced {
    /// libostree's name: a unit without `.service`, or a program.
    pub(crate) name: String,
    /// Whose program does its work.
    pub(crate) by: Owner,
    /// The program.
    pub(crate) program: Option<String>,
    /// The unit file or drop-in that says so.
    pub(crate) file: Option<String>,
}

/// Looks at all of them.
pub(crate) fn read(roots: &Roots) -> Vec<Replaced> {
    let mut known = BTreeMap::new();
    let units = UNITS.iter().map(|(unit, key)| match inspect::unit_commands(&roots.system, unit, key) {
        Ok(Some(commands)) => of_unit(roots, unit, commands.last(), &mut known),
        Ok(None) => Replaced { name: (*unit).to_owned(), by: Owner::Missing, program: None, file: None },
        Err(_) => Replaced { name: (*unit).to_owned(), by: Owner::Unknown, program: None, file: None },
    });
    let mut all: Vec<Replaced> = units.collect();
    all.extend(FILES.iter().map(|(name, places)| of_file(roots, name, places)));
    all
}

fn of_unit(roots: &Roots, unit: &str, command: Option<&UnitCommand>, known: &mut BTreeMap<String, Owner>) -> Replaced {
    let name = unit.to_owned();
    let Some(UnitCommand { file, command }) = command else {
        return Replaced { name, by: Owner::Missing, program: None, file: None };
    };
    let program = command.trim_start_matches(['@', '-', ':', '+', '!', '|']).split_whitespace().next();
    let program = program.unwrap_or_default().to_owned();
    let by = *known.entry(program.clone()).or_insert_with(|| owner(roots, &program));
    Replaced { name, by, program: Some(program), file: Some(file.clone()) }
}

fn of_file(roots: &Roots, name: &str, places: &[&str]) -> Replaced {
    let found = places.iter().map(|place| (place, owner(roots, place))).find(|(_, by)| *by != Owner::Missing);
    let (program, by) = found.map_or((None, Owner::Missing), |(place, by)| (Some((*place).to_owned()), by));
    Replaced { name: name.to_owned(), by, program, file: None }
}

fn owner(roots: &Roots, program: &str) -> Owner {
    match dir::read(&roots.system, program, LIMIT) {
        Ok(bytes) if find(&bytes, MARK).is_some() => Owner::Firstroot,
        Ok(_) => Owner::Libostree,
        Err(Errno::NOENT | Errno::NOTDIR) => Owner::Missing,
        Err(_) => Owner::Unknown,
    }
}
