//! `cargo xtask …`: the developer's and the newcomer's commands.

mod bench;
mod binary;
mod boot;
mod fuzz;
mod house;
mod install;
mod manual_pages;
mod package;
mod phases;
mod shell_scripts;
mod test;
mod workspace;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

const HELP: &str = "\
cargo xtask boot [--scenario NAME] [--interactive]   make a system, boot it, show what happened
cargo xtask test [--fast | --all]                    what CI runs; --fast leaves out the whole machines; --all adds
                                                    the machines that differ little from another one, a second build
                                                    that must give the same bytes, and every power cut and call
                                                    instead of samples
cargo xtask test [--all-power-cuts]                  every power cut instead of a sample
cargo xtask bench [--only PART]                      PART: prepare-root, initramfs, signed, verify, finalize, shutdown,
                                                    selinux, real-root, boot, command, esp;
                                                    figures beside libostree's, in the same run
cargo xtask fuzz [TARGET] [--seconds N]              libFuzzer over every parser, 60 s each; see fuzz/README.md
cargo xtask build                                    build the static binaries
cargo xtask install DESTDIR [--dracut-module NAME]   install below DESTDIR, where a distribution expects everything
cargo xtask house                                    check the shipped code: circles of imports, rooms, lengths
cargo xtask size                                     print the sizes of the binaries; fail above the limits
cargo xtask package [deb|rpm]                        build the packages in another folder; fail if their programs differ
";

fn main() -> Result<()> {
    let mut parser = lexopt::Parser::from_env();
    let Some(Value(command)) = parser.next()? else {
        print!("{HELP}");
        return Ok(());
    };
    let command = command.string()?;
    if command == bench::MEASURE {
        return bench::measure(parser.raw_args()?);
    }
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match (command.as_str(), argument) {
            ("boot", Long("scenario")) => options.scenario = Some(parser.value()?.string()?),
            ("boot", Long("interactive")) => options.interactive = true,
            ("test", Long("fast")) => options.test.fast = true,
            ("test", Long("all")) => (options.test.all, options.test.all_power_cuts) = (true, true),
            ("test", Long("all-power-cuts")) => options.test.all_power_cuts = true,
            ("bench", Long("only")) => options.only = Some(parser.value()?.parse()?),
            ("fuzz", Long("seconds")) => options.fuzz.seconds = Some(parser.value()?.parse()?),
            ("fuzz", Long("input")) => options.fuzz.input = Some(parser.value()?.into()),
            ("fuzz", Long("keep")) => options.fuzz.keep = true,
            ("fuzz", Value(target)) if options.fuzz.target.is_none() => options.fuzz.target = Some(target.string()?),
            ("install", Long("dracut-module")) => options.dracut_module = Some(parser.value()?.string()?),
            ("install", Value(directory)) if options.destdir.is_none() => options.destdir = Some(directory.into()),
            ("package", Value(format)) if options.format.is_none() => options.format = Some(format.parse()?),
            (_, other) => return Err(other.unexpected().into()),
        }
    }
    match command.as_str() {
        "boot" => boot::boot(options.scenario.as_deref(), options.interactive),
        "test" => test::test(options.test),
        "bench" => bench::bench(options.only),
        "fuzz" => fuzz::fuzz(&options.fuzz),
        "build" => {
            for program in binary::PROGRAMS {
                println!("{}", binary::build(program)?.display());
            }
            Ok(())
        }
        "install" => {
            let destdir = options.destdir.context("DESTDIR is missing: the directory to install below")?;
            install::install(&destdir, options.dracut_module.as_deref())
        }
        "house" => house::check(),
        "size" => binary::size(),
        "package" => package::package(options.format),
        other => bail!("there is no command {other:?}\n{HELP}"),
    }
}

/// What all commands take; each takes its own.
#[derive(Debug, Default)]
struct Options {
    scenario: Option<String>,
    interactive: bool,
    test: test::HowMuch,
    only: Option<bench::Part>,
    fuzz: fuzz::Options,
    destdir: Option<PathBuf>,
    dracut_module: Option<String>,
    format: Option<package::Format>,
}
