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
    Prepare { sysroot: PathBuf, cmdline: Option<OsString>, systemd: SystemdMode },
    /// Print what that would do, and do nothing.
    Plan { sysroot: PathBuf, cmdline: Option<OsString>, systemd: SystemdMode, json: bool },
    /// Look at the configuration of an initramfs that is being built in `root`.
    CheckConfig { root: PathBuf },
    /// Find out whether deployments would boot verified.
    Verify(VerifyRequest),
    /// As PID 1: `/` is the physical root; the arguments are those of the kernel for init.
    Init { arguments: Vec<OsString> },
    /// Print and leave.
    Print(&'static str),
}

const HELP: &str = "\
Turns a mounted physical root into the root of an OSTree deployment.

ostree-prepare-root [OPTIONS] SYSROOT [KERNEL_CMDLINE]
ostree-prepare-root --check-config ROOT
ostree-prepare-root --verify [--keys FILE] SYSROOT [DEPLOYMENT]

  SYSROOT              where the physical root is mounted: /sysroot in an initramfs
  KERNEL_CMDLINE       instead of /proc/cmdline

  --plan               print what would be done, and do nothing
  --json               with --plan: for machines
  --systemd=auto|yes|no  whether systemd will mount /var and /boot; auto looks for /run/systemd/system
  --check-config ROOT  check the configuration below ROOT, for whoever builds an initramfs
  --verify             find out whether a deployment (CHECKSUM.SERIAL, its path, or a boot link), or each of them, would boot
                       with its image, signature and objects as demanded; 0: yes, 1: no, 3: that cannot be told here
  --keys FILE          with --verify: the trusted keys
  --help, --version

As PID 1, unless it begins with an option that only looks, / is the physical root, and all arguments are for the
deployment's /sbin/init.
See ostree-prepare-root(8) and prepare-root.conf(5).
";

const VERSION: &str = concat!("ostree-prepare-root (firstroot) ", env!("CARGO_PKG_VERSION"), "\n");

/// Whether an option says that nothing shall be done. Such a run may be process 1 of a container; init has no such options.
pub(crate) fn only_looks(option: &OsStr) -> bool {
    ["--check-config", "--plan", "--verify", "--help", "--version"].iter().any(|known| option == *known)
}

/// Reads the arguments of a process that is not PID 1.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut positional, mut plan, mut json, mut systemd) = (Vec::new(), false, false, None);
    let (mut verify, mut keys) = (false, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Print(HELP)),
            Long("version") => return Ok(Command::Print(VERSION)),
            Long("plan") => plan = true,
            Long("json") => json = true,
            Long("verify") => verify = true,
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
        return Err("--json goes with --plan".into());
    }
    if keys.is_some() && !verify {
        return Err("--keys goes with --verify".into());
    }
    if plan && verify {
        return Err("--plan and --verify are two things".into());
    }
    let mut positional = positional.into_iter();
    let sysroot = PathBuf::from(positional.next().ok_or("SYSROOT is missing: where is the physical root mounted?")?);
    if verify && systemd.is_some() {
        return Err("--systemd says nothing to --verify".into());
    }
    let systemd = systemd.unwrap_or_default();
    if verify {
        let deployment = positional.next().map(|word| word.string()).transpose()?;
        return Ok(Command::Verify(VerifyRequest { sysroot, deployment, keys }));
    }
    let cmdline = positional.next();
    Ok(if plan {
        Command::Plan { sysroot, cmdline, systemd, json }
    } else {
        Command::Prepare { sysroot, cmdline, systemd }
    })
}

fn absolute(path: String) -> Result<String, lexopt::Error> {
    if path.starts_with('/') { Ok(path) } else { Err(format!("--keys={path}: it is an absolute path").into()) }
}

fn systemd_mode(word: &str) -> Result<SystemdMode, lexopt::Error> {
    match word {
        "auto" => Ok(SystemdMode::Auto),
        "yes" => Ok(SystemdMode::Yes),
        "no" => Ok(SystemdMode::No),
        _ => Err(format!("--systemd={word}: it is auto, yes or no").into()),
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
        assert_eq!(parsed(&["/sysroot"]), Ok(Command::Prepare { sysroot: sysroot.clone(), cmdline: None, systemd }));
        assert_eq!(
            parsed(&["/sysroot", "ostree=/x"]),
            Ok(Command::Prepare { sysroot, cmdline: Some("ostree=/x".into()), systemd })
        );
    }

    #[test]
    fn a_wrong_call_says_what_is_wrong() {
        for (arguments, message) in [
            (&[][..], "SYSROOT is missing: where is the physical root mounted?"),
            (&["/sysroot", "--json"], "--json goes with --plan"),
            (&["/sysroot", "--keys=/key"], "--keys goes with --verify"),
            (&["--verify", "--systemd=no", "/sysroot"], "--systemd says nothing to --verify"),
            (&["--verify", "--keys=key", "/sysroot"], "--keys=key: it is an absolute path"),
            (&["--verify", "--plan", "/sysroot"], "--plan and --verify are two things"),
            (&["/sysroot", "a", "b"], "unexpected argument \"b\""),
            (&["--systemd=maybe", "/sysroot"], "--systemd=maybe: it is auto, yes or no"),
        ] {
            assert_eq!(parsed(arguments), Err(message.to_owned()), "{arguments:?}");
        }
    }
}
