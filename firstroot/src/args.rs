//! The command line of the program.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::esp::Action;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Status { root: Option<PathBuf>, json: bool },
    Check { root: Option<PathBuf>, json: bool },
    Plan { json: bool },
    EtcStatus { root: Option<PathBuf>, json: bool },
    EtcDiff { root: Option<PathBuf>, staged: bool, json: bool, paths: Vec<OsString> },
    EtcRestore { root: Option<PathBuf>, staged: bool, discard: bool, json: bool, paths: Vec<OsString> },
    EtcExplain { root: Option<PathBuf>, json: bool, path: OsString },
    Esp { action: Action, json: bool },
    RepairBootlinks { root: Option<PathBuf>, dry_run: bool, json: bool },
    Print(&'static str),
}

const HELP: &str = "\
What this OSTree system boots next, whether it will come up, and what was changed in /etc.

firstroot status                what is booted, what boots next and why, what is staged
firstroot check                 would this machine come up, with every boot entry?
firstroot plan                  what the finalization of the staged update would do
firstroot etc [status]          files in /etc that are not as the system ships them
firstroot etc diff [--staged] [PATH...]
firstroot etc explain PATH      what is shipped, what is here, what an update does
firstroot etc restore [--staged] [--discard] PATH...
firstroot esp status            what the ESP boots next and why, and what defeats a rollback
firstroot esp install [--dry-run]
                                systemd-boot, tried once, and first after a good boot
firstroot esp uninstall [--dry-run] [--anyway]
                                back to the boot loader before
firstroot esp sync [--dry-run]  makes the ESP what /boot is
firstroot esp bless [--anyway]  this boot is good: its entry counts no more
firstroot esp retry [COMMIT]    tries again what was rolled back
firstroot esp forget [COMMIT]   an update that was rolled back may come again
firstroot repair bootlinks [--dry-run]

  --json            print JSON
  --root PATH       look at the disk that is mounted at PATH (not for plan)
  --staged          compare with, or take, what the staged update ships
  --discard         do not keep this machine's file as PATH.saved
  --dry-run         print what would be done
  --help, --version

Exit status: 0 done, for check: yes; 1 failed, for check: no; 2 wrong call;
3 check cannot tell. See firstroot(8).
";

const VERSION: &str = concat!("firstroot (firstroot) ", env!("CARGO_PKG_VERSION"), "\n");

/// All options that were given.
#[derive(Debug, Default)]
struct Options {
    root: Option<PathBuf>,
    json: bool,
    staged: bool,
    discard: bool,
    dry_run: bool,
    anyway: bool,
}

impl Options {
    /// An error if an option was given that the command does not know.
    fn allow(&self, names: &[&str]) -> Result<(), lexopt::Error> {
        let given = [
            ("--root", self.root.is_some()),
            ("--staged", self.staged),
            ("--discard", self.discard),
            ("--dry-run", self.dry_run),
            ("--anyway", self.anyway),
        ];
        match given.into_iter().find(|(name, is_given)| *is_given && !names.contains(name)) {
            Some((name, _)) => Err(format!("{name} cannot be used with this command").into()),
            None => Ok(()),
        }
    }
}

/// Reads the arguments.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut options, mut words) = (Options::default(), Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Print(HELP)),
            Long("version") => return Ok(Command::Print(VERSION)),
            Long("json") => options.json = true,
            Long("root") => options.root = Some(parser.value()?.into()),
            Long("staged") => options.staged = true,
            Long("discard") => options.discard = true,
            Long("dry-run") => options.dry_run = true,
            Long("anyway") => options.anyway = true,
            Value(word) => words.push(word),
            other => return Err(other.unexpected()),
        }
    }
    command(options, words)
}

fn command(options: Options, words: Vec<OsString>) -> Result<Command, lexopt::Error> {
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_default();
    let (root, json) = (options.root.clone(), options.json);
    let none = |mut rest: std::vec::IntoIter<OsString>| match rest.next() {
        Some(word) => Err(lexopt::Error::UnexpectedArgument(word)),
        None => Ok(()),
    };
    match name.to_string_lossy().as_ref() {
        "status" => options.allow(&["--root"]).and_then(|()| none(words)).map(|()| Command::Status { root, json }),
        "check" => options.allow(&["--root"]).and_then(|()| none(words)).map(|()| Command::Check { root, json }),
        "plan" => options.allow(&[]).and_then(|()| none(words)).map(|()| Command::Plan { json }),
        "etc" => etc(options, words.collect()),
        "esp" => {
            let what = words.next().unwrap_or_default();
            let digits = if what == "forget" || what == "retry" { words.next() } else { None };
            none(words)?;
            esp(&options, &what.to_string_lossy(), digits).map(|action| Command::Esp { action, json })
        }
        "repair" => {
            options.allow(&["--root", "--dry-run"])?;
            let what = words.next().unwrap_or_default();
            none(words)?;
            if what == "bootlinks" {
                return Ok(Command::RepairBootlinks { root, dry_run: options.dry_run, json });
            }
            Err("what can be repaired is: bootlinks".into())
        }
        "" => Err("a command is missing: status, check, plan, etc, esp or repair".into()),
        other => Err(format!("there is no command {other:?}: status, check, plan, etc, esp or repair").into()),
    }
}

fn esp(options: &Options, what: &str, digits: Option<OsString>) -> Result<Action, lexopt::Error> {
    let digits = digits.map(|digits| digits.string()).transpose()?.map(|digits| digits.to_ascii_lowercase());
    let is_part = |digits: &String| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(other) = digits.as_ref().filter(|digits| !is_part(digits)) {
        return Err(format!("{other:?} is not the beginning of a checksum").into());
    }
    match what {
        "status" => options.allow(&[]).map(|()| Action::Status),
        "install" => {
            options.allow(&["--dry-run"])?;
            Ok(Action::Install { dry_run: options.dry_run })
        }
        "uninstall" => {
            options.allow(&["--dry-run", "--anyway"])?;
            Ok(Action::Uninstall { dry_run: options.dry_run, anyway: options.anyway })
        }
        "sync" => {
            options.allow(&["--dry-run"])?;
            Ok(Action::Sync { dry_run: options.dry_run })
        }
        "assess" => options.allow(&[]).map(|()| Action::Assess),
        "bless" => options.allow(&["--anyway"]).map(|()| Action::Bless { anyway: options.anyway }),
        "retry" => options.allow(&[]).map(|()| Action::Retry { digits }),
        "forget" => options.allow(&[]).map(|()| Action::Forget { digits }),
        // For units.
        "make-default" => options.allow(&[]).map(|()| Action::MakeDefault),
        "check-boot" => options.allow(&[]).map(|()| Action::CheckBoot),
        "confirm" => options.allow(&[]).map(|()| Action::Confirm),
        "trial-failed" => options.allow(&[]).map(|()| Action::TrialFailed),
        other => Err(format!(
            "there is no command esp {other:?}: status, install, uninstall, sync, assess, bless, retry or forget"
        )
        .into()),
    }
}

fn etc(options: Options, words: Vec<OsString>) -> Result<Command, lexopt::Error> {
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_else(|| "status".into());
    let paths: Vec<OsString> = words.collect();
    let (root, json, staged) = (options.root.clone(), options.json, options.staged);
    match name.to_string_lossy().as_ref() {
        "status" => {
            options.allow(&["--root"])?;
            match paths.into_iter().next() {
                Some(path) => Err(lexopt::Error::UnexpectedArgument(path)),
                None => Ok(Command::EtcStatus { root, json }),
            }
        }
        "diff" => options.allow(&["--root", "--staged"]).map(|()| Command::EtcDiff { root, staged, json, paths }),
        "restore" if paths.is_empty() => Err("etc restore needs a path".into()),
        "restore" => {
            options.allow(&["--root", "--staged", "--discard"])?;
            Ok(Command::EtcRestore { root, staged, discard: options.discard, json, paths })
        }
        "explain" => {
            options.allow(&["--root"])?;
            match <[OsString; 1]>::try_from(paths) {
                Ok([path]) => Ok(Command::EtcExplain { root, json, path }),
                Err(_) => Err("etc explain needs one path".into()),
            }
        }
        other => Err(format!("there is no command etc {other:?}: status, diff, restore or explain").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_are_what_they_say() {
        assert_eq!(parsed("status"), Ok(Command::Status { root: None, json: false }));
        assert_eq!(parsed("check --root /mnt --json"), Ok(Command::Check { root: Some("/mnt".into()), json: true }));
        assert_eq!(parsed("etc"), Ok(Command::EtcStatus { root: None, json: false }));
        let sync = Action::Sync { dry_run: true };
        assert_eq!(parsed("esp sync --dry-run --json"), Ok(Command::Esp { action: sync, json: true }));
        let uninstall = Action::Uninstall { dry_run: true, anyway: true };
        let parsed_uninstall = parsed("esp uninstall --anyway --dry-run");
        assert_eq!(parsed_uninstall, Ok(Command::Esp { action: uninstall, json: false }));
        let bless = Action::Bless { anyway: true };
        assert_eq!(parsed("esp bless --anyway"), Ok(Command::Esp { action: bless, json: false }));
        let paths = vec!["/etc/a".into(), "b".into()];
        let restore = Command::EtcRestore { root: None, staged: true, discard: true, json: false, paths };
        assert_eq!(parsed("etc restore --staged --discard /etc/a b"), Ok(restore));
        assert_eq!(
            parsed("repair bootlinks"),
            Ok(Command::RepairBootlinks { root: None, dry_run: false, json: false })
        );
    }

    #[test]
    fn a_wrong_call_says_what_is_wrong() {
        for (line, message) in [
            ("", "a command is missing: status, check, plan, etc, esp or repair"),
            ("stats", "there is no command \"stats\": status, check, plan, etc, esp or repair"),
            ("status extra", "unexpected argument \"extra\""),
            ("plan --root /mnt", "--root cannot be used with this command"),
            ("etc restore", "etc restore needs a path"),
            ("etc explain a b", "etc explain needs one path"),
            ("repair", "what can be repaired is: bootlinks"),
            ("check --nonsense", "invalid option '--nonsense'"),
            ("esp", "there is no command esp \"\": status, install, uninstall, sync, assess, bless, retry or forget"),
            ("esp forget zz", "\"zz\" is not the beginning of a checksum"),
            ("esp sync --root /mnt", "--root cannot be used with this command"),
            ("esp install --anyway", "--anyway cannot be used with this command"),
            ("esp retry --anyway", "--anyway cannot be used with this command"),
        ] {
            assert_eq!(parsed(line), Err(message.to_owned()), "{line}");
        }
    }
}
