//! The command line of the program.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::facts::SystemdMode;
use crate::verify::VerifyRequest;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Turn the physical root at `sysroot` into the root of a deployment.
    Prepare { sysroot: PathBuf, cmdline: Option<OsString>, deployment: Option<String>, systemd: SystemdMode },
    /// Print what that would do, and change nothing.
    Plan { sysroot: PathBuf, cmdline: Option<OsString>, deployment: Option<String>, systemd: SystemdMode, json: bool },
    /// Check the configuration in `root`: a tree, or an initramfs that is being built.
    CheckConfig { root: PathBuf },
    /// Check whether deployments would boot verified.
    Verify(VerifyRequest),
    /// As PID 1: `/` is the physical root, and the kernel has passed the arguments of init.
    Init { arguments: Vec<OsString> },
    /// Print this text.
    Print(&'static str),
}

const HELP: &str = "\
Turns a mounted physical root into the root of an OSTree deployment.

ostree-prepare-root [OPTIONS] SYSROOT [KERNEL_CMDLINE]
ostree-prepare-root --check-config ROOT
ostree-prepare-root --verify [--keys FILE] SYSROOT [DEPLOYMENT]

  SYSROOT              where the physical root is mounted: /sysroot in an initramfs
  KERNEL_CMDLINE       kernel command line to use instead of /proc/cmdline

  -d, --deployment D   boot this deployment instead of the one of ostree=: its number in the report of a failed boot,
                       its version, or the first digits of its checksum (at least 4)
  --plan               print what a boot would do, and change nothing
  --json               with --plan: print JSON
  --systemd=auto|yes|no  whether systemd will mount /var and /boot; auto checks for /run/systemd/system
  --check-config ROOT  check the configuration in ROOT: a tree, or an initramfs that is being built
  --verify             check whether a deployment (as for --deployment, CHECKSUM.SERIAL, its path, or a boot link) would boot with the demanded
                       image, signature and objects; without DEPLOYMENT: all of them. Exit status 0: yes, 1: no, 3: unknown
  --keys FILE          with --verify: the trusted keys (absolute path)
  --help, --version

As PID 1, / is the physical root, and all arguments go to the deployment's /sbin/init (except if the first one is
--check-config, --plan, --verify, --help or --version).
See ostree-prepare-root(8) and prepare-root.conf(5).
";

const VERSION: &str = concat!("ostree-prepare-root (firstroot) ", env!("CARGO_PKG_VERSION"), "\n");

/// Whether an option makes the program change nothing. Such a run may be process 1 of a container; init has no such options.
pub(crate) fn only_looks(option: &OsStr) -> bool {
    ["--check-config", "--plan", "--verify", "--help", "--version"].iter().any(|known| option == *known)
}

/// Reads the arguments of a process that is not PID 1.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut positional, mut plan, mut json, mut systemd) = (Vec::new(), false, false, None);
    let (mut verify, mut keys, mut deployment) = (false, None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Print(HELP)),
            Long("version") => return Ok(Command::Print(VERSION)),
            Long("plan") => plan = true,
            Long("json") => json = true,
            Long("verify") => verify = true,
            Long("deployment") | Short('d') => deployment = Some(parser.value()?.string()?),
            Long("keys") => keys = Some(absolute(parser.value()?.string()?)?),
            Long("systemd") => systemd = Some(systemd_mode(&parser.value()?.string()?)?),
            Long("check-config") => {
                let root = PathBuf::from(parser.value()?);
                return match parser.next()? {
                    None => Ok(Command::CheckConfig { root }),
                    Some(extra) => Err(extra.unexpected()),
                };
            }
            Value(value) if positional.len() < 2 => positional.push(value),
            other => return Err(other.unexpected()),
        }
    }
    if json && !plan {
        return Err("--json can only be used with --plan".into());
    }
    if keys.is_some() && !verify {
        return Err("--keys can only be used with --verify".into());
    }
    if plan && verify {
        return Err("--plan and --verify cannot be used together".into());
    }
    let mut positional = positional.into_iter();
    let sysroot =
        PathBuf::from(positional.next().ok_or("SYSROOT is missing: the directory where the physical root is mounted")?);
    if verify && systemd.is_some() {
        return Err("--systemd cannot be used with --verify".into());
    }
    if verify && deployment.is_some() {
        return Err("--deployment cannot be used with --verify: name the deployment after SYSROOT".into());
    }
    let systemd = systemd.unwrap_or_default();
    if verify {
        let deployment = positional.next().map(|word| word.string()).transpose()?;
        return Ok(Command::Verify(VerifyRequest { sysroot, deployment, keys }));
    }
    let cmdline = positional.next();
    Ok(if plan {
        Command::Plan { sysroot, cmdline, deployment, systemd, json }
    } else {
        Command::Prepare { sysroot, cmdline, deployment, systemd }
    })
}

fn absolute(path: String) -> Result<String, lexopt::Error> {
    if path.starts_with('/') { Ok(path) } else { Err(format!("--keys={path}: the path must be absolute").into()) }
}

fn systemd_mode(word: &str) -> Result<SystemdMode, lexopt::Error> {
    match word {
        "auto" => Ok(SystemdMode::Auto),
        "yes" => Ok(SystemdMode::Yes),
        "no" => Ok(SystemdMode::No),
        _ => Err(format!("--systemd={word}: the value must be auto, yes or no").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        parse(arguments.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn as_the_peer_is_called() {
        let sysroot = PathBuf::from("/sysroot");
        let systemd = SystemdMode::Auto;
        let deployment = None;
        assert_eq!(
            parsed(&["/sysroot"]),
            Ok(Command::Prepare { sysroot: sysroot.clone(), cmdline: None, deployment: deployment.clone(), systemd })
        );
        assert_eq!(
            parsed(&["/sysroot", "ostree=/x"]),
            Ok(Command::Prepare { sysroot, cmdline: Some("ostree=/x".into()), deployment, systemd })
        );
    }

    #[test]
    fn a_deployment_may_stand_anywhere() {
        let (sysroot, systemd) = (PathBuf::from("/sysroot"), SystemdMode::Auto);
        for arguments in [&["--deployment", "1", "/sysroot"][..], &["/sysroot", "-d1"], &["-d", "1", "/sysroot"]] {
            let deployment = Some("1".to_owned());
            let expected = Command::Prepare { sysroot: sysroot.clone(), cmdline: None, deployment, systemd };
            assert_eq!(parsed(arguments), Ok(expected));
        }
    }

    #[test]
    fn a_wrong_call_says_what_is_wrong() {
        for (arguments, message) in [
            (&[][..], "SYSROOT is missing: the directory where the physical root is mounted"),
            (&["/sysroot", "--json"], "--json can only be used with --plan"),
            (&["/sysroot", "--keys=/key"], "--keys can only be used with --verify"),
            (&["--verify", "--systemd=no", "/sysroot"], "--systemd cannot be used with --verify"),
            (&["--verify", "--keys=key", "/sysroot"], "--keys=key: the path must be absolute"),
            (&["--verify", "--plan", "/sysroot"], "--plan and --verify cannot be used together"),
            (
                &["--verify", "--deployment=1", "/sysroot"],
                "--deployment cannot be used with --verify: name the deployment after SYSROOT",
            ),
            (&["/sysroot", "a", "b"], "unexpected argument \"b\""),
            (&["--systemd=maybe", "/sysroot"], "--systemd=maybe: the value must be auto, yes or no"),
        ] {
            assert_eq!(parsed(arguments), Err(message.to_owned()), "{arguments:?}");
        }
    }
}
