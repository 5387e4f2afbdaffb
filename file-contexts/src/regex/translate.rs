//! PCRE's syntax in that of regex-lite, as far as both mean the same. All else is refused, so that nothing matches by mistake.

use super::class;

/// What the engine reads in place of this regex; the reason, if there is nothing.
pub(super) fn translate(regex: &str) -> Result<String, String> {
    let mut out = String::with_capacity(regex.len());
    let mut rest = regex.as_bytes();
    // Whether a quantifier may follow.
    let mut is_repeatable = false;
    while let [byte, behind @ ..] = rest {
        let quantifier = quantifier(rest);
        if let Some((quantifier, behind)) = quantifier {
            if !is_repeatable {
                return Err("a quantifier has nothing to repeat".to_owned());
            }
            out.push_str(&quantifier);
            rest = behind_lazy(behind)?;
            is_repeatable = false;
            continue;
        }
        is_repeatable = true;
        rest = match byte {
            b'[' => {
                let (set, behind) = class::parse(behind)?;
                out.push_str(&set.shown()?);
                behind
            }
            b'\\' => escape(behind, &mut out)?,
            b'(' => {
                is_repeatable = false;
                // No group is asked for, and one that is not remembered costs less.
                out.push_str("(?:");
                match behind {
                    [b'?', b':', behind @ ..] => behind,
                    [b'?', ..] => return Err("a group that begins with (?".to_owned()),
                    [b'*', ..] => return Err("a group that begins with (*".to_owned()),
                    _ => behind,
                }
            }
            b'|' | b'^' => {
                is_repeatable = false;
                out.push(char::from(*byte));
                behind
            }
            b'.' | b')' | b'$' => {
                is_repeatable = *byte != b'$';
                out.push(char::from(*byte));
                behind
            }
            byte => {
                push_character(*byte, &mut out);
                behind
            }
        };
    }
    Ok(out)
}

/// A quantifier at the beginning, as the engine writes it, and what follows. A `{` that begins no count is a character.
fn quantifier(regex: &[u8]) -> Option<(String, &[u8])> {
    match regex {
        [byte @ (b'?' | b'*' | b'+'), rest @ ..] => Some((char::from(*byte).to_string(), rest)),
        [b'{', rest @ ..] => {
            let length = rest.iter().position(|byte| *byte == b'}')?;
            let (count, behind) = rest.split_at_checked(length)?;
            let count = std::str::from_utf8(count).ok()?;
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let is_count = match count.split_once(',') {
                Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
                None => is_number(count),
            };
            is_count.then(|| (format!("{{{count}}}"), behind.get(1..).unwrap_or_default()))
        }
        _ => None,
    }
}

/// A lazy quantifier finds the same paths. A possessive one may find fewer, and the engine has none.
fn behind_lazy(behind: &[u8]) -> Result<&[u8], String> {
    match behind {
        [b'?', rest @ ..] => Ok(rest),
        [b'+', ..] => Err("a possessive quantifier".to_owned()),
        _ => Ok(behind),
    }
}

/// What follows a backslash, outside of a class.
fn escape<'a>(behind: &'a [u8], out: &mut String) -> Result<&'a [u8], String> {
    match behind {
        [] => return Err("a backslash at the end".to_owned()),
        [letter @ (b'd' | b'D' | b'w' | b'W' | b's' | b'S'), ..] => out.push_str(&class::of_letter(*letter)?.shown()?),
        _ => {
            let (byte, rest) = class::escaped(behind)?;
            push_character(byte, out);
            return Ok(rest);
        }
    }
    Ok(behind.get(1..).unwrap_or_default())
}

/// A character that stands for itself.
fn push_character(byte: u8, out: &mut String) {
    if b"\\.+*?()|[]{}^$#&-~".contains(&byte) {
        out.push('\\');
    }
    out.push(char::from(byte));
}
