//! The pairing link that a QR code holds: `https://HOST/device#v=1&t=TOKEN&k=ROOT_KEY[&s=API_ORIGIN]`.

use std::{fmt, net::IpAddr, str::FromStr};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::key::{KeyFault, VerificationKey};

/// The secret that opens one offer: 160 bits as 32 characters of RFC 4648 base32 in upper case.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrollmentToken(String);

/// What a device needs to begin an enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingLink {
    /// Where the page behind the link is: scheme and host, such as `https://login.example.org`.
    pub page_origin: String,
    /// Opens the offer.
    pub token: EnrollmentToken,
    /// Pinned by the device for good.
    pub root_key: VerificationKey,
    /// Where the API is, when it is not at `page_origin`.
    pub api_origin: Option<String>,
}

/// Why a text is no pairing link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// Another scheme or path, or no host.
    #[error("not a pairing link: it begins with https://HOST/device# (http on loopback only)")]
    Address,
    /// `v` is missing or not 1.
    #[error("the pairing link's version is not 1: the app is too old or too new for it")]
    Version,
    /// A parameter that is missing, repeated or unknown.
    #[error("the pairing link's parameter {0:?} is missing, repeated or unknown; allowed are v, t, k and s")]
    Parameter(String),
    /// Not 32 characters of base32.
    #[error("the pairing link's token is damaged: it has 32 characters A to Z and 2 to 7")]
    Token,
    /// Not a key that can be trusted.
    #[error("the pairing link's root key is damaged: {0}")]
    RootKey(KeyFault),
}

impl EnrollmentToken {
    /// From 160 random bits.
    pub fn from_random(random: [u8; 20]) -> Self {
        Self(BASE32_NOPAD.encode(&random))
    }

    /// The 32 characters, as they stand in the link.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the 32 characters: how the offer names its token.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

impl FromStr for EnrollmentToken {
    type Err = LinkFault;

    fn from_str(text: &str) -> Result<Self, LinkFault> {
        let is_token =
            text.len() == 32 && text.bytes().all(|b| b.is_ascii_uppercase() || matches!(b, b'2'..=b'7'));
        if is_token { Ok(Self(text.to_owned())) } else { Err(LinkFault::Token) }
    }
}

impl fmt::Debug for EnrollmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrollmentToken(..)")
    }
}

impl PairingLink {
    /// Where the API is.
    pub fn api_origin(&self) -> &str {
        self.api_origin.as_deref().unwrap_or(&self.page_origin)
    }
}

impl FromStr for PairingLink {
    type Err = LinkFault;

    fn from_str(link: &str) -> Result<Self, LinkFault> {
        let (address, fragment) = link.trim().split_once('#').ok_or(LinkFault::Address)?;
        let page_origin = address.strip_suffix("/device").ok_or(LinkFault::Address)?;
        if !is_origin(page_origin) {
            return Err(LinkFault::Address);
        }
        let [mut version, mut token, mut root_key, mut api_origin] = [None; 4];
        for parameter in fragment.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let slot = match name {
                "v" => &mut version,
                "t" => &mut token,
                "k" => &mut root_key,
                "s" => &mut api_origin,
                // Not repeated: in a mangled link it may be the token.
                _ => return Err(LinkFault::Parameter("(unknown)".to_owned())),
            };
            if slot.replace(value).is_some() {
                return Err(LinkFault::Parameter(name.to_owned()));
            }
        }
        let missing = |name: &str| LinkFault::Parameter(name.to_owned());
        if version.ok_or_else(|| missing("v"))? != "1" {
            return Err(LinkFault::Version);
        }
        let token = token.ok_or_else(|| missing("t"))?.parse()?;
        let root_key = BASE64URL_NOPAD
            .decode(root_key.ok_or_else(|| missing("k"))?.as_bytes())
            .map_err(|_| KeyFault::Malformed)
            .and_then(|bytes| VerificationKey::from_bytes(&bytes))
            .map_err(LinkFault::RootKey)?;
        let api_origin = match api_origin {
            None => None,
            Some(encoded) => {
                let origin = percent_decode_str(encoded).decode_utf8().map_err(|_| LinkFault::Address)?;
                if !is_origin(&origin) {
                    return Err(LinkFault::Address);
                }
                Some(origin.into_owned())
            }
        };
        Ok(Self { page_origin: page_origin.to_owned(), token, root_key, api_origin })
    }
}

impl fmt::Display for PairingLink {
    /// Writes the token out: whoever shows a link shows a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// All but RFC 3986's unreserved characters.
        const RESERVED: &AsciiSet = &CONTROLS
            .add(b' ')
            .add(b'"')
            .add(b'#')
            .add(b'%')
            .add(b'&')
            .add(b'+')
            .add(b'/')
            .add(b':')
            .add(b';')
            .add(b'<')
            .add(b'=')
            .add(b'>')
            .add(b'?')
            .add(b'@')
            .add(b'[')
            .add(b'\\')
            .add(b']')
            .add(b'^')
            .add(b'`')
            .add(b'{')
            .add(b'|')
            .add(b'}');
        let root_key = BASE64URL_NOPAD.encode(&self.root_key.to_bytes());
        write!(f, "{}/device#v=1&t={}&k={root_key}", self.page_origin, self.token.reveal())?;
        match &self.api_origin {
            Some(origin) => write!(f, "&s={}", utf8_percent_encode(origin, RESERVED)),
            None => Ok(()),
        }
    }
}

/// Whether `origin` is a scheme and a host with an optional port: https, or http to a loopback address.
pub fn is_origin(origin: &str) -> bool {
    let (authority, loopback_only) = if let Some(authority) = origin.strip_prefix("https://") {
        (authority, false)
    } else if let Some(authority) = origin.strip_prefix("http://") {
        (authority, true)
    } else {
        return false;
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    // `parse` alone would take a sign in front of the digits.
    let is_number = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    let is_port = port.is_none_or(|port| is_number(port) && port.parse::<u16>().is_ok_and(|port| port != 0));
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let address: Option<IpAddr> = match literal {
        Some(literal) => literal.parse().ok().filter(IpAddr::is_ipv6),
        None => host.parse().ok().filter(IpAddr::is_ipv4),
    };
    let is_name = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    let is_loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    is_port && (address.is_some() || is_name) && (is_loopback || !loopback_only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;

    fn link() -> PairingLink {
        PairingLink {
            page_origin: "https://login.example.org".into(),
            token: EnrollmentToken::from_random([7; 20]),
            root_key: VerificationKey::of(&SigningKey::from_bytes(&[1; 32])),
            api_origin: Some("https://api.example.org:8443".into()),
        }
    }

    #[test]
    fn a_link_is_read_back_as_it_was_written() {
        let text = link().to_string();
        assert!(text.ends_with("&s=https%3A%2F%2Fapi.example.org%3A8443"), "{text}");
        assert_eq!(text.parse(), Ok(link()));
        let alone = PairingLink { api_origin: None, ..link() };
        assert_eq!(alone.to_string().parse(), Ok(alone.clone()));
        assert_eq!(alone.api_origin(), "https://login.example.org");
    }

    #[test]
    fn what_is_not_a_link_is_refused_with_its_reason() {
        let good = PairingLink { api_origin: None, ..link() }.to_string();
        let refused = |text: &str| text.parse::<PairingLink>().expect_err(text);
        assert_eq!(refused("https://login.example.org/device"), LinkFault::Address);
        assert_eq!(refused(&good.replace("https", "http")), LinkFault::Address);
        assert_eq!(refused(&good.replace("login.example.org", "a@b")), LinkFault::Address);
        assert_eq!(refused(&good.replace("v=1", "v=2")), LinkFault::Version);
        assert_eq!(refused(&good.replace("&t=", "&t=a")), LinkFault::Token);
        assert_eq!(refused(&good.replace("&k=", "&k=A")), LinkFault::RootKey(KeyFault::Malformed));
        assert_eq!(refused(&format!("{good}&x=1")), LinkFault::Parameter("(unknown)".into()));
        assert_eq!(refused(&format!("{good}&v=1")), LinkFault::Parameter("v".into()));
        assert_eq!(refused(&format!("{good}&s=ftp%3A%2F%2Fx")), LinkFault::Address);
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:1", "https://a.example"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "http://a.example",
            "http://127.0.0.1.example",
            "https://",
            "https://a/b",
            "https://a@b",
            "https://a:0",
            "https://a:+80",
            "https://a:65536",
            "https://a:",
            "https://[1.2.3.4]",
            "https://::1",
            "a",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn a_token_is_not_printed_by_accident() {
        assert!(!format!("{:?}", link()).contains(link().token.reveal()));
    }
}
