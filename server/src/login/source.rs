//! What a device shows of where a login comes from.

use std::net::IpAddr;

use countersign_proto::{
    login::{CreateChallengeRequest, LoginSource},
    statement::{Detail, DetailKind},
    statement_form::{MAX_LABEL_CHARS, MAX_VALUE_CHARS},
    text,
};
use woothee::parser::Parser;

use crate::refusal::{Refusal, shown};

/// Characters of a User-Agent header.
const MAX_USER_AGENT_CHARS: usize = 512;
/// Details that a request may add.
const MAX_REQUESTED: usize = 10;

/// Everything that is to be shown besides the purpose, in the order in which it is shown.
pub(super) fn details(request: &CreateChallengeRequest) -> Result<Vec<Detail>, Refusal> {
    let mut details = Vec::new();
    if !request.binding_message.is_empty() {
        shown("binding_message", text::check(&request.binding_message, MAX_VALUE_CHARS))?;
        details.push(detail(DetailKind::BindingMessage, "Message", request.binding_message.clone()));
    }
    if let Some(source) = &request.source {
        from_source(source, &mut details)?;
    }
    if request.details.len() > MAX_REQUESTED {
        return Err(Refusal::field("details", format!("are more than the {MAX_REQUESTED} allowed")));
    }
    for (index, requested) in request.details.iter().enumerate() {
        let field = |name| format!("details[{index}].{name}");
        if requested.kind != i32::from(DetailKind::Unspecified) {
            return Err(Refusal::field(field("kind"), "must be unset: the server gives details their kinds"));
        }
        shown(&field("label"), text::check_required(&requested.label, MAX_LABEL_CHARS))?;
        shown(&field("value"), text::check_required(&requested.value, MAX_VALUE_CHARS))?;
        details.push(requested.clone());
    }
    Ok(details)
}

fn from_source(source: &LoginSource, details: &mut Vec<Detail>) -> Result<(), Refusal> {
    if !source.ip_address.is_empty() {
        let address: IpAddr = source
            .ip_address
            .parse()
            .map_err(|_| Refusal::field("source.ip_address", "must be an IPv4 or IPv6 address as text"))?;
        details.push(detail(DetailKind::IpAddress, "IP address", address.to_canonical().to_string()));
    }
    if !source.location.is_empty() {
        shown("source.location", text::check(&source.location, MAX_VALUE_CHARS))?;
        details.push(detail(DetailKind::Location, "Location", source.location.clone()));
    }
    if !source.user_agent.is_empty() {
        shown("source.user_agent", text::check(&source.user_agent, MAX_USER_AGENT_CHARS))?;
        details.push(detail(DetailKind::Browser, "Browser", browser_in_words(&source.user_agent)));
    }
    Ok(())
}

fn detail(kind: DetailKind, label: &str, value: String) -> Detail {
    Detail { kind: kind.into(), label: label.to_owned(), value }
}

/// Such as 'Firefox 140 on Linux'. Only words of the parser's own tables and digits come out of it: the header
/// is the attacker's to write.
fn browser_in_words(user_agent: &str) -> String {
    const UNKNOWN: &str = "an unknown browser or program";
    let Some(parsed) = Parser::new().parse(user_agent) else { return UNKNOWN.to_owned() };
    let known = |name: &str| !name.is_empty() && name != "UNKNOWN";
    let major: String = parsed.version.chars().take_while(char::is_ascii_digit).take(4).collect();
    match (known(parsed.name), known(parsed.os)) {
        (true, with_os) => {
            let version = if major.is_empty() { String::new() } else { format!(" {major}") };
            let os = if with_os { format!(" on {}", parsed.os) } else { String::new() };
            format!("{}{version}{os}", parsed.name)
        }
        (false, true) => format!("{UNKNOWN} on {}", parsed.os),
        (false, false) => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_becomes_a_browser_in_words() {
        for (user_agent, words) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/142.0.0.0 Safari/537.36",
                "Chrome 142 on Windows 10",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox 140 on Linux",
            ),
            ("my-script", "an unknown browser or program"),
            ("", "an unknown browser or program"),
        ] {
            assert_eq!(browser_in_words(user_agent), words);
        }
    }

    #[test]
    fn what_is_shown_stands_in_a_fixed_order_and_has_its_kind() {
        let request = CreateChallengeRequest {
            binding_message: "Order 17".into(),
            source: Some(LoginSource {
                ip_address: "::ffff:203.0.113.7".into(),
                user_agent: "my-script".into(),
                location: "Graz".into(),
            }),
            details: vec![Detail { kind: 0, label: "Amount".into(), value: "12 EUR".into() }],
            ..CreateChallengeRequest::default()
        };
        let shown: Vec<_> = details(&request)
            .expect("all of it may be shown")
            .into_iter()
            .map(|d| (d.kind, d.value))
            .collect();
        let words = "an unknown browser or program";
        assert_eq!(
            shown,
            [(1, "Order 17"), (2, "203.0.113.7"), (3, "Graz"), (4, words), (0, "12 EUR")]
                .map(|(kind, value)| (kind, value.to_owned()))
        );
    }

    #[test]
    fn what_deceives_or_is_too_much_is_refused_by_its_field() {
        let field_of = |request: CreateChallengeRequest| match details(&request) {
            Err(Refusal::InvalidField { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        let source = |source| CreateChallengeRequest { source: Some(source), ..Default::default() };
        let detail = |kind, label: &str| Detail { kind, label: label.into(), value: "v".into() };
        let with = |details| CreateChallengeRequest { details, ..Default::default() };
        assert_eq!(
            field_of(source(LoginSource { ip_address: "1.2.3".into(), ..Default::default() })),
            "source.ip_address"
        );
        assert_eq!(
            field_of(source(LoginSource { location: "a\u{202e}b".into(), ..Default::default() })),
            "source.location"
        );
        assert_eq!(
            field_of(source(LoginSource { user_agent: "x".repeat(513), ..Default::default() })),
            "source.user_agent"
        );
        assert_eq!(
            field_of(CreateChallengeRequest { binding_message: "a\nb".into(), ..Default::default() }),
            "binding_message"
        );
        assert_eq!(field_of(with(vec![detail(2, "a")])), "details[0].kind");
        assert_eq!(field_of(with(vec![detail(0, "a"), detail(0, "")])), "details[1].label");
        assert_eq!(field_of(with(vec![detail(0, "a"); 11])), "details");
    }
}
