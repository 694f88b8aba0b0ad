//! Recovery codes (the paper key): what a person writes down for the day on which every device is lost.
//!
//! 60 random characters of Crockford's base32 (300 bits) and 4 that are the first 20 bits of SHA-256 over those
//! 60, so that a slip of the pen is told before it is a try.

use std::{fmt, fmt::Write as _, str::FromStr};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Characters that are random.
pub const RANDOM_CHARS: usize = 60;
/// Characters that follow from the others.
const CHECKSUM_CHARS: usize = 4;
/// Characters of a group, as it is shown.
const GROUP: usize = 4;
/// Crockford's base32: no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A recovery code with a right checksum. Secret; shown in groups by [`Self::reveal_in_groups`].
#[derive(Clone)]
pub struct RecoveryCode(Zeroizing<String>);

/// Why a text is no recovery code. Neither is a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecoveryCode {
    /// Not 64 characters of the alphabet.
    #[error(
        "is no recovery code: allowed are 64 letters and digits without U; spaces, hyphens and case do not matter"
    )]
    Form,
    /// The last group does not fit the others.
    #[error("has a typing error: the last group does not fit the others; look again at what you wrote down")]
    Checksum,
}

impl RecoveryCode {
    /// The code of these random bytes, of which the low 5 bits each count.
    pub fn from_random(random: &[u8; RANDOM_CHARS]) -> Self {
        let mut code = Zeroizing::new(String::with_capacity(RANDOM_CHARS + CHECKSUM_CHARS));
        code.extend(random.iter().map(|byte| character(u32::from(*byte))));
        let checksum = checksum(&code);
        code.extend(checksum);
        Self(code)
    }

    /// The 64 characters in upper case, without separators.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// 16 groups of 4 with hyphens between them.
    pub fn reveal_in_groups(&self) -> String {
        let mut shown = String::with_capacity(self.0.len() / GROUP * (GROUP + 1));
        for (n, character) in self.0.chars().enumerate() {
            if n > 0 && n % GROUP == 0 {
                shown.push('-');
            }
            shown.push(character);
        }
        shown
    }
}

/// Takes what a person typed: case, spaces and hyphens do not matter, O is 0, I and L are 1.
impl FromStr for RecoveryCode {
    type Err = InvalidRecoveryCode;

    fn from_str(typed: &str) -> Result<Self, InvalidRecoveryCode> {
        let mut code = Zeroizing::new(String::with_capacity(RANDOM_CHARS + CHECKSUM_CHARS));
        for character in typed.chars().filter(|c| !matches!(c, '-' | ' ' | '\t' | '\r' | '\n')) {
            // No more than fits: a longer buffer would leave a copy behind.
            if code.len() == RANDOM_CHARS + CHECKSUM_CHARS {
                return Err(InvalidRecoveryCode::Form);
            }
            code.push(read(character).ok_or(InvalidRecoveryCode::Form)?);
        }
        if code.len() != RANDOM_CHARS + CHECKSUM_CHARS {
            return Err(InvalidRecoveryCode::Form);
        }
        let (random, given) = code.split_at(RANDOM_CHARS);
        let right = checksum(random).map(|c| u8::try_from(c).expect("the alphabet is ASCII"));
        if bool::from(right.as_slice().ct_eq(given.as_bytes())) {
            Ok(Self(code))
        } else {
            Err(InvalidRecoveryCode::Checksum)
        }
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(")?;
        f.write_char('…')?;
        f.write_char(')')
    }
}

/// The character of the low 5 bits.
fn character(bits: u32) -> char {
    char::from(ALPHABET[(bits & 31) as usize])
}

fn read(typed: char) -> Option<char> {
    let upper = match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    upper.is_ascii().then_some(upper).filter(|c| ALPHABET.iter().any(|known| char::from(*known) == *c))
}

/// The first 20 bits of SHA-256, 5 a character.
fn checksum(random: &str) -> [char; CHECKSUM_CHARS] {
    let digest = Sha256::digest(random.as_bytes());
    let bits = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    [27, 22, 17, 12].map(|shift| character(bits >> shift))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zeros() -> RecoveryCode {
        RecoveryCode::from_random(&[0; RANDOM_CHARS])
    }

    #[test]
    fn the_last_group_is_the_hash_of_the_others() {
        let shown = zeros().reveal_in_groups();
        assert_eq!(shown.len(), 64 + 15);
        assert_eq!(shown.split('-').count(), 16);
        assert_eq!(shown, format!("{}{CHECKSUM_OF_ZEROS}", "0000-".repeat(15)));
        assert_eq!(format!("{:?}", zeros()), "RecoveryCode(…)");
    }

    #[test]
    fn a_typing_error_is_told_from_what_is_no_code() {
        let code = zeros();
        let shown = code.reveal_in_groups();
        let typed = shown.to_lowercase().replace('-', " ").replacen("0000 0000", "oO0o-0OOo", 1);
        assert_eq!(typed.parse::<RecoveryCode>().map(|read| read.reveal() == code.reveal()), Ok(true));
        let slip = shown.replacen('0', "1", 1);
        for one in [slip.clone(), slip.replacen('1', "I", 1), slip.replacen('1', "l", 1)] {
            assert_eq!(one.parse::<RecoveryCode>().map(|_| ()), Err(InvalidRecoveryCode::Checksum));
        }
        for form in [
            "",
            &shown[..78],
            &format!("{shown}0"),
            &shown.replacen('0', "U", 1),
            &shown.replacen('0', "é", 1),
        ] {
            assert_eq!(form.parse::<RecoveryCode>().map(|_| ()), Err(InvalidRecoveryCode::Form), "{form}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(random in proptest::array::uniform32(any::<u8>())) {
            let mut bytes = [0; RANDOM_CHARS];
            bytes[..32].copy_from_slice(&random);
            let code = RecoveryCode::from_random(&bytes);
            let read: RecoveryCode = code.reveal_in_groups().parse().expect("its own text");
            prop_assert_eq!(read.reveal(), code.reveal());
        }

        #[test]
        fn one_wrong_character_is_noticed(place in 0..64_usize, other in 1..32_u32) {
            let mut characters: Vec<char> = zeros().reveal().chars().collect();
            let value = ALPHABET.iter().position(|c| char::from(*c) == characters[place]).expect("of the alphabet");
            characters[place] = character(u32::try_from(value).expect("5 bits") ^ other);
            let typed: String = characters.into_iter().collect();
            prop_assert_eq!(typed.parse::<RecoveryCode>().map(|_| ()), Err(InvalidRecoveryCode::Checksum));
        }
    }

    /// By Python: `hashlib.sha256(b"0" * 60)`.
    const CHECKSUM_OF_ZEROS: &str = "XCZ6";
}
