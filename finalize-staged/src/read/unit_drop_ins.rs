//! The drop-ins of libostree's units. firstroot's drop-in makes the unit run this program. Another drop-in may reset that command,
//! or firstroot's may reset the other one's. systemd does not report this, so `--prepare` does.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;
use system::{Context, SystemError, dir};

use crate::program::PROGRAM;

/// Units, and the key whose commands firstroot's drop-in replaces.
pub(crate) const UNITS: [(&str, &str); 3] = [
    ("ostree-finalize-staged", "ExecStop"),
    ("ostree-finalize-staged-hold", "ExecStart"),
    ("ostree-boot-complete", "ExecStart"),
];

/// systemd's directories (systemd.unit(5)). Of two files with the same name, systemd uses the one in the earlier directory.
const DIRECTORIES: [&str; 12] = [
    "etc/systemd/system.control",
    "run/systemd/system.control",
    "run/systemd/transient",
    "run/systemd/generator.early",
    "etc/systemd/system",
    "etc/systemd/system.attached",
    "run/systemd/system",
    "run/systemd/system.attached",
    "run/systemd/generator",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "run/systemd/generator.late",
];

/// The name of firstroot's drop-in in older versions; it sorted after some others.
const FORMER_NAME: &str = "/10-firstroot.conf";

/// Larger than any unit; a larger file is an error.
const LIMIT: u64 = 1 << 18;

/// A unit file, or a drop-in.
#[derive(Debug)]
pub(crate) struct UnitFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Warns of drop-ins that reset firstroot's, and of drop-ins that firstroot's resets.
pub(crate) fn warn() {
    let root = match dir::open_root(Path::new("/")).context("open", "/") {
        Ok(root) => root,
        Err(error) => return log::warn!("{error}: cannot check the drop-ins of libostree's units"),
    };
    for (unit, key) in UNITS {
        match files(&root, unit) {
            Ok(files) => findings(unit, key, &files).iter().for_each(|finding| log::warn!("{finding}")),
            Err(error) => log::warn!("{error}: cannot check the drop-ins of {unit}.service"),
        }
    }
}

/// The commands of a unit that systemd runs, each with the file that it is in; `None`: there is no such unit.
pub(crate) fn commands(root: impl AsFd, unit: &str, key: &str) -> Result<Option<Vec<(String, String)>>, SystemError> {
    let files = files(root, unit)?;
    if !files.first().is_some_and(|file| file.path.ends_with(".service")) {
        return Ok(None);
    }
    let mut effective: Vec<(String, String)> = Vec::new();
    for file in files {
        for command in assignments(&file.text, key) {
            if command.is_empty() {
                effective.clear();
            } else {
                effective.push((file.path.clone(), command));
            }
        }
    }
    Ok(Some(effective))
}

/// The unit file, and its drop-ins in systemd's order: by name, regardless of the directory.
fn files(root: impl AsFd, unit: &str) -> Result<Vec<UnitFile>, SystemError> {
    let mut drop_ins: BTreeMap<String, String> = BTreeMap::new();
    let own = DIRECTORIES.iter().flat_map(|directory| {
        drop_in_directories(unit).into_iter().map(move |drop_ins| format!("{directory}/{drop_ins}"))
    });
    // The drop-ins for all services come after every other directory.
    let of_all = DIRECTORIES.iter().map(|directory| format!("{directory}/service.d"));
    for directory in own.chain(of_all) {
        let names = match dir::names(&root, &directory) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            names => names.context("list", format_args!("/{directory}"))?,
        };
        for name in names.into_iter().filter(|name| name.ends_with(".conf") && !name.starts_with('.')) {
            let path = format!("{directory}/{name}");
            drop_ins.entry(name).or_insert(path);
        }
    }
    let mut files = Vec::new();
    for directory in DIRECTORIES {
        if let Some(file) = read(&root, format!("{directory}/{unit}.service"))? {
            files.push(file);
            break;
        }
    }
    for path in drop_ins.into_values() {
        files.extend(read(&root, path)?);
    }
    Ok(files)
}

/// `a-b.service.d`, and `a-.service.d`, which applies to all units whose names begin with `a-`.
fn drop_in_directories(unit: &str) -> Vec<String> {
    let prefixes = unit.match_indices('-').rev().filter_map(|(at, _)| unit.get(..=at));
    std::iter::once(unit).chain(prefixes).map(|name| format!("{name}.service.d")).collect()
}

fn read(root: impl AsFd, path: String) -> Result<Option<UnitFile>, SystemError> {
    let text = match dir::read(root, &path, LIMIT) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // A link to /dev/null masks a file of the same name elsewhere.
        Err(Errno::INVAL) => String::new(),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error).context("read", format_args!("/{path}")),
    };
    Ok(Some(UnitFile { path: format!("/{path}"), text }))
}

/// The problems with the commands of a unit, as messages.
pub(crate) fn findings(unit: &str, key: &str, files: &[UnitFile]) -> Vec<String> {
    let mut effective: Vec<(&UnitFile, String)> = Vec::new();
    // The file of the command, the command, and the file that has reset it.
    let mut lost: Vec<(&UnitFile, String, &UnitFile)> = Vec::new();
    for file in files {
        for command in assignments(&file.text, key) {
            if command.is_empty() {
                lost.extend(effective.drain(..).map(|(of, command)| (of, command, file)));
            } else {
                effective.push((file, command));
            }
        }
    }
    let runs = |command: &str| program_of(command) == PROGRAM;
    let mut findings = Vec::new();
    if !effective.iter().any(|(_, command)| runs(command)) {
        findings.push(match lost.iter().rev().find(|(_, command, _)| runs(command)) {
            Some((ours, _, by)) => format!(
                "{} resets {key}= after {}, so {unit}.service does not run {PROGRAM}; remove the empty {key}= there, or rename \
                 the file so that it sorts before 00-firstroot.conf",
                by.path, ours.path
            ),
            None => format!(
                "no drop-in makes {unit}.service run {PROGRAM}: it runs libostree's program; install \
                 {unit}.service.d/00-firstroot.conf"
            ),
        });
    }
    // firstroot's files: those with a command that runs this program.
    let mut ours: Vec<&str> = Vec::new();
    let lost_ones = lost.iter().map(|(of, command, _)| (*of, command));
    for (file, command) in lost_ones.chain(effective.iter().map(|(of, command)| (*of, command))) {
        if !ours.contains(&file.path.as_str()) && runs(command) {
            ours.push(&file.path);
        }
    }
    let is_ours = |file: &UnitFile| ours.contains(&file.path.as_str());
    for (of, command, by) in lost.iter().filter(|(of, _, by)| is_ours(by) && !is_ours(of)) {
        // libostree's command, which firstroot's drop-in replaces.
        if program_of(command) == "ostree" {
            continue;
        }
        let cure = if by.path.ends_with(FORMER_NAME) {
            format!("remove {}, left by an older version of firstroot", by.path)
        } else {
            "put it into a drop-in with a name that sorts after 00-firstroot.conf".to_owned()
        };
        findings.push(format!(
            "{} resets {key}=, so {unit}.service does not run {command:?} of {}; {cure}",
            by.path, of.path
        ));
    }
    findings
}

/// The values of a key in `[Service]`, in their order. An empty one resets those before it.
fn assignments(text: &str, key: &str) -> Vec<String> {
    let (mut found, mut in_service) = (Vec::new(), false);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    while let Some(line) = lines.next() {
        let mut whole = line.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            whole.push(' ');
            whole.push_str(lines.next().unwrap_or_default());
        }
        if let Some(section) = whole.strip_prefix('[') {
            in_service = section == "Service]";
        } else if let Some((name, value)) = whole.split_once('=')
            && in_service
            && name.trim_end() == key
        {
            found.push(value.trim().to_owned());
        }
    }
    found
}

/// The file name of the program that a command runs.
fn program_of(command: &str) -> &str {
    let path = command.trim_start_matches(['@', '-', ':', '+', '!', '|']).split_whitespace().next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "[Service]\nExecStop=\nExecStop=/usr/lib/firstroot/ostree-finalize-staged\n";

    fn of(files: &[(&str, &str)]) -> Vec<String> {
        let unit =
            UnitFile { path: "/u".into(), text: "[Service]\nExecStop=/usr/bin/ostree admin finalize-staged\n".into() };
        let mut sorted: Vec<_> = files.to_vec();
        sorted.sort_unstable();
        let drop_ins =
            sorted.iter().map(|(path, text)| UnitFile { path: (*path).to_owned(), text: (*text).to_owned() });
        findings("ostree-finalize-staged", "ExecStop", &std::iter::once(unit).chain(drop_ins).collect::<Vec<_>>())
    }

    #[test]
    fn drop_ins_that_add_after_ours_are_fine() {
        assert_eq!(of(&[("/00-firstroot.conf", OURS)]), [""; 0]);
        let others = [("/05-a.conf", "[Service]\nExecStop=/a\n"), ("/zz.conf", "[Service]\nTimeoutStopSec=1\n")];
        assert_eq!(of(&[&others[..], &[("/00-firstroot.conf", OURS)]].concat()), [""; 0]);
    }

    #[test]
    fn who_resets_ours_is_named() {
        for reset in ["[Service]\nExecStop=\n", "[Unit]\nA=b\n[Service]\n ExecStop = \\\n # no\n \nExecStop=/x\n"] {
            let found = of(&[("/00-firstroot.conf", OURS), ("/10-reset.conf", reset)]);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("/10-reset.conf resets ExecStop= after /00-firstroot.conf, so ostree-finalize-staged.service does not run "), "{found:?}");
        }
        // One that puts ours back is as good.
        assert_eq!(of(&[("/00-firstroot.conf", OURS), ("/10-own.conf", OURS)]), [""; 0]);
        assert!(
            of(&[("/10.conf", "[Install]\nExecStop=/usr/lib/firstroot/ostree-finalize-staged\n")])[0]
                .starts_with("no drop-in")
        );
    }

    #[test]
    fn who_is_reset_by_ours_is_named() {
        let adds = "[Service]\nExecStop=-/usr/libexec/armada/bootimg --to esp\n";
        let found = of(&[("/00-aaa.conf", adds), ("/00-firstroot.conf", OURS)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("does not run \"-/usr/libexec/armada/bootimg --to esp\" of /00-aaa.conf; put it"),
            "{found:?}"
        );
        let found = of(&[("/00-firstroot.conf", OURS), ("/05-armada.conf", adds), ("/10-firstroot.conf", OURS)]);
        assert!(found[0].ends_with("remove /10-firstroot.conf, left by an older version of firstroot"), "{found:?}");
    }

    #[test]
    fn directories_of_prefixes_count() {
        assert_eq!(
            drop_in_directories("ostree-boot-complete"),
            ["ostree-boot-complete.service.d", "ostree-boot-.service.d", "ostree-.service.d"]
        );
    }

    #[test]
    fn by_name_whatever_the_directory_and_the_administrator_masks() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let unit = "systemd/system/ostree-finalize-staged.service";
        write(&format!("usr/lib/{unit}"), "");
        write(&format!("usr/lib/{unit}.d/00-firstroot.conf"), OURS);
        write(&format!("usr/lib/{unit}.d/20-masked.conf"), "usr");
        write(&format!("etc/{unit}.d/20-masked.conf"), "");
        write(&format!("run/{unit}.d/10-run.conf"), "run");
        write("usr/lib/systemd/system/ostree-.service.d/05-prefix.conf", "prefix");
        write("etc/systemd/system/service.d/30-all.conf", "all");
        write(&format!("etc/{unit}.d/README"), "none");
        let root = dir::open_root(root.path()).unwrap();
        let files = files(&root, "ostree-finalize-staged").unwrap();
        let shown: Vec<&str> = files.iter().filter_map(|file| Path::new(&file.path).file_name()?.to_str()).collect();
        let expected = ["00-firstroot.conf", "05-prefix.conf", "10-run.conf", "20-masked.conf", "30-all.conf"];
        assert_eq!(shown, [&["ostree-finalize-staged.service"], &expected[..]].concat());
        assert!(files.iter().all(|file| file.text != "usr"));
    }
}
