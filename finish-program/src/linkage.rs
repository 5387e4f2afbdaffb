//! Whether a binary is static, because an initramfs may have no dynamic loader.

use anyhow::{Context, Result, ensure};
use goblin::elf::Elf;

/// Refuses a program that names an interpreter or needs a library.
pub(crate) fn require_static(bytes: &[u8]) -> Result<()> {
    let elf = Elf::parse(bytes).context("not an ELF file")?;
    if let Some(interpreter) = elf.interpreter {
        anyhow::bail!("not static: it names the interpreter {interpreter}");
    }
    ensure!(elf.libraries.is_empty(), "not static: it needs {}", elf.libraries.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::require_static;

    #[test]
    fn a_program_of_the_host_is_refused_by_name() {
        // This test itself is one.
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let error = require_static(&program).unwrap_err().to_string();
        assert!(error.contains("interpreter"), "{error}");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(require_static(b"#!/bin/sh\n").is_err());
    }
}
