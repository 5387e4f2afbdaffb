//! Classes of characters, read as PCRE reads them and written as nothing but ranges.

use std::ops::RangeInclusive;

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    /// A bit for each byte below 128.
    low: u128,
    /// The others.
    high: u128,
}

impl Set {
    const EMPTY: Set = Set { low: 0, high: 0 };

    fn of(is_in: impl Fn(u8) -> bool) -> Set {
        (0..=u8::MAX).filter(|byte| is_in(*byte)).fold(Set::EMPTY, |set, byte| set.with(Set::one(byte)))
    }

    fn one(byte: u8) -> Set {
        let bit = 1 << (byte & 0x7f);
        if byte.is_ascii() { Set { low: bit, high: 0 } } else { Set { low: 0, high: bit } }
    }

    fn has(self, byte: u8) -> bool {
        let of_byte = Set::one(byte);
        self.low & of_byte.low != 0 || self.high & of_byte.high != 0
    }

    fn with(self, other: Set) -> Set {
        Set { low: self.low | other.low, high: self.high | other.high }
    }

    fn negated(self) -> Set {
        Set { low: !self.low, high: !self.high }
    }

    /// As the engine reads it; each byte is the character of that number.
    pub(super) fn shown(self) -> Result<String, String> {
        let mut shown = String::from("[");
        let mut byte = 0_u8;
        loop {
            if self.has(byte) {
                let first = byte;
                while byte < u8::MAX && self.has(byte + 1) {
                    byte += 1;
                }
                shown.push_str(&format!("\\x{first:02x}-\\x{byte:02x}"));
            }
            if byte == u8::MAX {
                break;
            }
            byte += 1;
        }
        if shown == "[" {
            return Err("a class without characters".to_owned());
        }
        shown.push(']');
        Ok(shown)
    }
}

/// A class, of which the bracket that opens it has been read, and what follows.
pub(super) fn parse(class: &[u8]) -> Result<(Set, &[u8]), String> {
    let (is_negated, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut set = Set::EMPTY;
    let mut is_first = true;
    loop {
        if let [b']', behind @ ..] = rest
            && !is_first
        {
            return Ok((if is_negated { set.negated() } else { set }, behind));
        }
        is_first = false;
        let (item, behind) = item(rest)?;
        // Before the end of the class a hyphen is a character.
        let range_end = match behind {
            [b'-', b']', ..] => None,
            [b'-', end @ ..] => Some(end),
            _ => None,
        };
        let (added, behind) = match (item, range_end) {
            (Item::Byte(first), Some(end)) => range(first, end)?,
            (Item::Byte(byte), None) => (Set::one(byte), behind),
            (Item::Set(set), _) => (set, behind),
        };
        set = set.with(added);
        rest = behind;
    }
}

enum Item {
    Byte(u8),
    Set(Set),
}

/// The next character or named class.
fn item(class: &[u8]) -> Result<(Item, &[u8]), String> {
    match class {
        [] => Err("a class without an end".to_owned()),
        [b'[', b':', rest @ ..] => {
            let length = rest.windows(2).position(|two| two == b":]").ok_or("a named class without an end")?;
            let (name, rest) = rest.split_at_checked(length).unwrap_or_default();
            Ok((Item::Set(named(name)?), rest.get(2..).unwrap_or_default()))
        }
        [b'[', b'.' | b'=', ..] => Err("a collating element".to_owned()),
        [b'\\', letter @ (b'd' | b'D' | b'w' | b'W' | b's' | b'S'), rest @ ..] => {
            Ok((Item::Set(of_letter(*letter)?), rest))
        }
        [b'\\', b'b', rest @ ..] => Ok((Item::Byte(0x08), rest)),
        [b'\\', rest @ ..] => escaped(rest).map(|(byte, rest)| (Item::Byte(byte), rest)),
        [byte, rest @ ..] => Ok((Item::Byte(*byte), rest)),
    }
}

/// From `first` to the character at the beginning of `end`. Before a class the hyphen between them is a character.
fn range(first: u8, end: &[u8]) -> Result<(Set, &[u8]), String> {
    match item(end)? {
        (Item::Byte(last), rest) if first <= last => Ok((Set::of(|byte| (first..=last).contains(&byte)), rest)),
        (Item::Byte(_), _) => Err("a range in a class that ends before it begins".to_owned()),
        (Item::Set(set), rest) => Ok((set.with(Set::one(first)).with(Set::one(b'-')), rest)),
    }
}

/// `[:name:]`, in the C locale.
fn named(name: &[u8]) -> Result<Set, String> {
    let (is_negated, name) = match name {
        [b'^', name @ ..] => (true, name),
        _ => (false, name),
    };
    let set = match name {
        b"alnum" => Set::of(|byte| byte.is_ascii_alphanumeric()),
        b"alpha" => Set::of(|byte| byte.is_ascii_alphabetic()),
        b"ascii" => Set::of(|byte| byte.is_ascii()),
        b"blank" => Set::of(|byte| matches!(byte, b' ' | b'\t')),
        b"cntrl" => Set::of(|byte| byte.is_ascii_control()),
        b"digit" => of_letter(b'd')?,
        b"graph" => Set::of(|byte| byte.is_ascii_graphic()),
        b"lower" => Set::of(|byte| byte.is_ascii_lowercase()),
        b"print" => Set::of(|byte| byte.is_ascii_graphic() || byte == b' '),
        b"punct" => Set::of(|byte| byte.is_ascii_punctuation()),
        b"space" => of_letter(b's')?,
        b"upper" => Set::of(|byte| byte.is_ascii_uppercase()),
        b"word" => of_letter(b'w')?,
        b"xdigit" => Set::of(|byte| byte.is_ascii_hexdigit()),
        _ => return Err("a named class that PCRE does not know".to_owned()),
    };
    Ok(if is_negated { set.negated() } else { set })
}

/// `\d`, `\w`, `\s`, and in upper case all but these.
pub(super) fn of_letter(letter: u8) -> Result<Set, String> {
    const SPACE: RangeInclusive<u8> = b'\t'..=b'\r';
    let set = match letter.to_ascii_lowercase() {
        b'd' => Set::of(|byte| byte.is_ascii_digit()),
        b'w' => Set::of(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        b's' => Set::of(|byte| SPACE.contains(&byte) || byte == b' '),
        _ => return Err("a class that PCRE does not know".to_owned()),
    };
    Ok(if letter.is_ascii_uppercase() { set.negated() } else { set })
}

/// The character that a backslash and what follows it stand for, and what follows that.
pub(super) fn escaped(behind: &[u8]) -> Result<(u8, &[u8]), String> {
    match behind {
        [] => Err("a backslash at the end".to_owned()),
        [b'n', rest @ ..] => Ok((b'\n', rest)),
        [b't', rest @ ..] => Ok((b'\t', rest)),
        [b'r', rest @ ..] => Ok((b'\r', rest)),
        [b'x', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            let digits = [*high, *low];
            let digits = std::str::from_utf8(&digits).unwrap_or_default();
            Ok((u8::from_str_radix(digits, 16).unwrap_or_default(), rest))
        }
        [byte, rest @ ..] if !byte.is_ascii_alphanumeric() => Ok((*byte, rest)),
        [byte, ..] => Err(format!("\\{}, which is more than a character or unknown", char::from(*byte))),
    }
}
