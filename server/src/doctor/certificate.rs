//! The TLS certificate that the server shows: for whom it is, and until when.

use std::time::Duration;

use countersign_domain::UnixTime;
use reqwest::Url;
use rustls::{client::verify_server_name, server::ParsedCertificate};
use rustls_pki_types::ServerName;
use x509_parser::parse_x509_certificate;

use super::{Finding, Installation, counted};
use crate::config::{Certificate, TlsConfig};

/// Who renews by ACME does so 30 days before the end: with less left it has failed.
const RENEWAL_FAILED: Duration = Duration::from_hours(21 * 24);

const RENEW: &str =
    "renew it (such as `certbot renew`), and restart the server: it reads its files when it starts";

pub(super) fn check(installation: &Installation) -> Vec<Finding> {
    let TlsConfig::Certificate(certificate) = &installation.config.tls else { return Vec::new() };
    let server = &installation.config.server;
    let origins = [Some(server.public_origin(server.listen)), server.api_url.clone()];
    let mut findings = validity(certificate, installation.clock.now());
    findings.extend(origins.into_iter().flatten().filter_map(|origin| name(certificate, &origin)));
    findings
}

fn validity(certificate: &Certificate, now: UnixTime) -> Vec<Finding> {
    let why = "devices and backends refuse to connect outside of that time";
    let each = certificate.chain.iter().enumerate().filter_map(|(index, der)| {
        let (_, parsed) = parse_x509_certificate(der).ok()?;
        let time = |seconds: i64| UnixTime::from_millis(seconds.saturating_mul(1000));
        let (from, until) =
            (time(parsed.validity().not_before.timestamp()), time(parsed.validity().not_after.timestamp()));
        let which = if index == 0 { "the certificate" } else { "a certificate that leads to its root" };
        if now < from {
            let what = format!("{which} in tls.certificate_file is valid from {from} only");
            Some(Finding::problem(what, why, "set this machine's clock right, or have it issued anew"))
        } else if until < now {
            Some(Finding::problem(format!("{which} in tls.certificate_file ended at {until}"), why, RENEW))
        } else {
            let left = until.since(now);
            let what = || {
                format!(
                    "{which} in tls.certificate_file ends in {}, at {until}",
                    counted(left.as_secs() / 86_400, "day")
                )
            };
            (left < RENEWAL_FAILED).then(|| Finding::warning(what(), why, RENEW))
        }
    });
    each.collect()
}

fn name(certificate: &Certificate, origin: &str) -> Option<Finding> {
    let host = Url::parse(origin).ok()?.host_str()?.trim_matches(['[', ']']).to_owned();
    let wanted = ServerName::try_from(host.as_str()).ok()?;
    let parsed = ParsedCertificate::try_from(certificate.chain.first()?).ok()?;
    verify_server_name(&parsed, &wanted).is_err().then(|| {
        Finding::problem(
            format!(
                "the certificate in tls.certificate_file is not for {host}, where devices look for the server"
            ),
            "devices and backends refuse to connect",
            format!("have it issued for {host}, or set server.public_url to a name that it is for"),
        )
    })
}
