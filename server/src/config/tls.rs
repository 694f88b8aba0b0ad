//! `[tls]`: who ends TLS, and with what.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

use super::{error::ConfigError, setting::Setting, sources::Section};
use crate::wire::tls;

/// Who ends TLS.
#[derive(Debug)]
pub enum TlsConfig {
    /// Nobody: the server is reachable on loopback only.
    Off,
    /// A proxy in front of the server, which is then spoken to in the clear.
    TerminatedByProxy,
    /// The server itself, with this certificate and its key.
    Certificate(Certificate),
}

/// The certificate that the server shows.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What connections are accepted with.
    pub config: Arc<ServerConfig>,
    /// The server's own certificate, and those that lead to its root.
    pub chain: Vec<CertificateDer<'static>>,
}

/// The section, and the setting `terminated_by_proxy`, which others rest on.
pub(super) fn read(mut section: Section) -> Result<(TlsConfig, Setting), ConfigError> {
    let certificate_file = section.get("certificate_file");
    let private_key_file = section.get("private_key_file");
    let terminated_by_proxy = section.get("terminated_by_proxy");
    section.finish()?;

    let by_proxy = terminated_by_proxy.boolean(false)?;
    let config = match (certificate_file.is_set(), private_key_file.is_set()) {
        (false, false) if by_proxy => TlsConfig::TerminatedByProxy,
        (false, false) => TlsConfig::Off,
        (true, true) if by_proxy => {
            let allowed =
                "must be false beside tls.certificate_file: either a proxy ends TLS or the server does";
            return Err(terminated_by_proxy.refuse(allowed));
        }
        (true, true) => TlsConfig::Certificate(read_certificate(&certificate_file, &private_key_file)?),
        (true, false) => return Err(certificate_file.needs(&private_key_file, "they go together")),
        (false, true) => return Err(private_key_file.needs(&certificate_file, "they go together")),
    };
    Ok((config, terminated_by_proxy))
}

fn read_certificate(certificate_file: &Setting, key_file: &Setting) -> Result<Certificate, ConfigError> {
    let chain = certificates(certificate_file)?;
    let key_pem = Zeroizing::new(key_file.file()?);
    let private_key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| {
        key_file.refuse("must be a PEM file with a private key (BEGIN PRIVATE KEY), not encrypted")
    })?;
    // rustls compares the public keys of both.
    let config = tls::server_config(chain.clone(), private_key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => key_file.refuse("must be the key of tls.certificate_file"),
        rustls::Error::InvalidCertificate(fault) => {
            certificate_file.refuse(&format!("must begin with a valid certificate: {fault}"))
        }
        other => key_file.refuse(&format!("must be a key that TLS can use: {other}")),
    })?;
    Ok(Certificate { config, chain })
}

/// The certificates of a PEM file, at least one; none when the setting is not set.
pub(super) fn certificates(setting: &Setting) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    if !setting.is_set() {
        return Ok(Vec::new());
    }
    let pem = setting.file()?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    certificates
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| setting.refuse("must be a PEM file with one or more certificates (BEGIN CERTIFICATE)"))
}
