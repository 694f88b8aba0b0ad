//! Text that a person is shown is an attacker's input: capped, and free of characters that hide or reorder.

/// Why a text may not be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// Empty, or fewer characters than needed.
    #[error("must not be empty")]
    Empty,
    /// More characters (Unicode scalar values) than allowed.
    #[error("is longer than the {0} characters that are allowed")]
    TooLong(usize),
    /// A control, line-break or bidirectional formatting character.
    #[error("contains U+{0:04X}; control, line-break and bidirectional characters are not allowed")]
    Character(u32),
}

/// Whether `text` may be shown: at most `most` characters, none of which hides or reorders others.
pub fn check(text: &str, most: usize) -> Result<(), TextFault> {
    if text.chars().nth(most).is_some() {
        return Err(TextFault::TooLong(most));
    }
    match text.chars().find(|&character| is_deceptive(character)) {
        Some(character) => Err(TextFault::Character(character.into())),
        None => Ok(()),
    }
}

/// [`check`], and at least one character.
pub fn check_required(text: &str, most: usize) -> Result<(), TextFault> {
    if text.is_empty() { Err(TextFault::Empty) } else { check(text, most) }
}

/// `text` with each character that may not be shown replaced by U+FFFD, and cut at `most` characters.
pub fn sanitized(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if is_deceptive(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// C0 and C1 controls, line and paragraph separators, and Unicode's `Bidi_Control` characters.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{2028}' | '\u{2029}'
            | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_and_names_the_one_that_deceives() {
        assert_eq!(check_required("", 3), Err(TextFault::Empty));
        assert_eq!(check("äöü", 3), Ok(()));
        assert_eq!(check("äöüß", 3), Err(TextFault::TooLong(3)));
        for deceptive in ['\0', '\n', '\u{85}', '\u{7f}', '\u{2028}', '\u{202e}', '\u{2066}', '\u{61c}'] {
            assert_eq!(check(&format!("a{deceptive}"), 3), Err(TextFault::Character(deceptive.into())));
        }
        assert_eq!(sanitized("a\u{202e}bcd", 3), "a\u{fffd}b");
    }
}
