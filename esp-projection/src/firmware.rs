//! What the firmware boots: its variables (UEFI 2.10, 3.1 and 3.3) as values. Pure.

mod load_option;
mod value;

pub use load_option::{HardDrive, LoadOption, encode};
pub use value::{guid, numbers, order, text};

/// The description of the option that [`crate::install`] makes: by it, and by what it starts, the option is found again.
pub const DESCRIPTION: &str = "OSTree (systemd-boot)";

/// The boot options, and what is known of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firmware {
    /// `BootOrder`.
    pub order: Vec<u16>,
    /// `BootNext`: for one boot.
    pub next: Option<u16>,
    /// `BootCurrent`: by which one this boot was started.
    pub current: Option<u16>,
    /// `Boot####` that can be read.
    pub options: Vec<(u16, LoadOption)>,
    /// Numbers of all `Boot####`, those that cannot be read too.
    pub numbers: Vec<u16>,
    /// `SecureBoot`.
    pub is_secure: bool,
}

impl Firmware {
    /// The option with this number.
    pub fn option(&self, number: u16) -> Option<&LoadOption> {
        self.options.iter().find(|(other, _)| *other == number).map(|(_, option)| option)
    }

    /// The numbers of the options that start this file on this partition.
    pub fn starting<'a>(&'a self, partition: &'a [u8; 16], file: &'a str) -> impl Iterator<Item = u16> + 'a {
        let is_it = move |option: &LoadOption| {
            option.partition.as_ref() == Some(partition)
                && option.file.as_deref().is_some_and(|path| path.eq_ignore_ascii_case(file))
        };
        self.options.iter().filter(move |(_, option)| is_it(option)).map(|(number, _)| *number)
    }

    /// Those of them that `install` made.
    pub fn made<'a>(&'a self, partition: &'a [u8; 16], file: &'a str) -> impl Iterator<Item = u16> + 'a {
        let is_made = |number: &u16| self.option(*number).is_some_and(|option| option.description == DESCRIPTION);
        self.starting(partition, file).filter(is_made)
    }

    /// The option that is tried first, without `BootNext`.
    pub fn first(&self) -> Option<u16> {
        self.order.iter().copied().find(|number| self.option(*number).is_some_and(LoadOption::is_tried))
    }

    /// A number that no option has.
    pub fn free(&self) -> Option<u16> {
        let mut is_taken = vec![false; 1 << 16];
        for number in &self.numbers {
            if let Some(taken) = is_taken.get_mut(usize::from(*number)) {
                *taken = true;
            }
        }
        u16::try_from(is_taken.iter().position(|taken| !taken)?).ok()
    }

    /// An option as it is shown.
    pub fn shown(&self, number: u16) -> String {
        let description = self.option(number).map(|option| format!(" ({})", option.description));
        format!("{}{}", name(number), description.unwrap_or_default())
    }
}

/// The name of an option's variable.
pub fn name(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// The number in the name of a variable; four digits.
pub fn number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("Boot")?;
    let is_number = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(name(0x2a), "Boot002A");
        assert_eq!(number("Boot002A"), Some(0x2a));
        for other in ["BootOrder", "Boot02A", "Boot+02A", "BootNext", "Boot00000"] {
            assert_eq!(number(other), None, "{other}");
        }
        assert_eq!(numbers(&[1, 0, 2, 1, 9]), [1, 0x102]);
        assert_eq!(order(&[1, 0x102]), [1, 0, 2, 1]);
        let firmware = Firmware { numbers: vec![0, 1, 3], ..Firmware::default() };
        assert_eq!(firmware.free(), Some(2));
        assert_eq!(Firmware { numbers: (0..=u16::MAX).collect(), ..Firmware::default() }.free(), None);
    }

    #[test]
    fn a_uuid_has_the_order_of_firmware() {
        let bytes = guid("00112233-4455-6677-8899-AABBccddeeff").unwrap();
        let expected = [0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(bytes, expected);
        for bad in ["", "1234-ABCD", "00112233-4455-6677-8899-aabbccddeefg", "+0112233-4455-6677-8899-aabbccddeeff"] {
            assert_eq!(guid(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text_of in ".*") {
            let _ = (text(&bytes), numbers(&bytes), guid(&text_of), number(&text_of), LoadOption::parse(&bytes));
        }
    }
}
