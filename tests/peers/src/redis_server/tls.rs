//! TLS of a Redis server that a test started.

use std::{fs, io, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The authority's certificate, in the server's directory.
pub(super) const CA_FILE: &str = "ca.pem";

/// Tell the server of the files that [`make`] makes.
pub(super) const DIRECTIVES: [&str; 4] =
    ["tls-ca-cert-file ca.pem", "tls-cert-file server.pem", "tls-key-file server.key", "tls-auth-clients no"];

/// Makes an authority and a certificate of it, as files in `directory`; gives the authority's, in PEM.
pub(super) fn make(directory: &Path) -> io::Result<String> {
    let mut authority = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().map_err(io::Error::other)?;
    let authority = CertifiedIssuer::self_signed(authority, authority_key).map_err(io::Error::other)?;
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
        .and_then(|names| names.signed_by(&key, &authority))
        .map_err(io::Error::other)?;
    fs::write(directory.join(CA_FILE), authority.pem())?;
    fs::write(directory.join("server.pem"), certificate.pem())?;
    fs::write(directory.join("server.key"), key.serialize_pem())?;
    Ok(authority.pem())
}

/// TLS over `stream` with a server whose certificate is of the authority `ca_pem`.
pub(super) async fn connect(stream: TcpStream, ca_pem: &str) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(io::Error::other)?;
    roots.add(ca).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("it is a host name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
