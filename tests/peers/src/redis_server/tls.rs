//! TLS of a Redis server that a test started.

use std::{fs, io, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
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

/// A certificate of the same authority for whoever calls the server, and its key.
pub(super) const CLIENT_FILES: [&str; 2] = ["client.pem", "client.key"];

/// Makes an authority and two certificates of it, the server's and a client's, as files in `directory`; gives the
/// authority's, in PEM.
pub(super) fn make(directory: &Path) -> io::Result<String> {
    let mut authority = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().map_err(io::Error::other)?;
    let authority = CertifiedIssuer::self_signed(authority, authority_key).map_err(io::Error::other)?;
    fs::write(directory.join(CA_FILE), authority.pem())?;
    for (names, [certificate_file, key_file]) in
        [(&["localhost", "127.0.0.1"][..], ["server.pem", "server.key"]), (&["client"], CLIENT_FILES)]
    {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let subject: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut certificate = CertificateParams::new(subject).map_err(io::Error::other)?;
        // Other than the authority's, or OpenSSL takes it for one that vouches for itself.
        certificate.distinguished_name.push(DnType::CommonName, names[0]);
        let certificate = certificate.signed_by(&key, &authority).map_err(io::Error::other)?;
        fs::write(directory.join(certificate_file), certificate.pem())?;
        fs::write(directory.join(key_file), key.serialize_pem())?;
    }
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
