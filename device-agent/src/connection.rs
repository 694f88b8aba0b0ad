//! The way to a server: https with the system's roots and one more CA if given, http on loopback.

use std::time::Duration;

use countersign_proto::device::device_service_client::DeviceServiceClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::error::Error;

/// A client of the service on a connection that is made when it is first needed.
pub(crate) type Client = DeviceServiceClient<Channel>;

/// Until a connection stands, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// From a call to its answer, or to the opening of its stream. No call of a device waits for anybody.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection with a stream on it that has been silent for so long is asked for a sign of life, which may take so
/// long; then a new one is made.
const PING_AFTER: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// No answer to a device comes near this: the largest holds ten challenges of sixteen details each.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// A client for `origin`, which the pairing link has been checked to be https, or http on loopback.
pub(crate) fn client(origin: &str, ca_pem: Option<&[u8]>) -> Result<Client, Error> {
    let unusable = |error: tonic::transport::Error| Error::Unreachable {
        origin: origin.to_owned(),
        problem: std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
    };
    let mut endpoint = Endpoint::from_shared(origin.to_owned())
        .map_err(unusable)?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .http2_keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT);
    if origin.starts_with("https://") {
        endpoint = with_tls(&endpoint, ca_pem).map_err(unusable)?;
    }
    Ok(DeviceServiceClient::new(endpoint.connect_lazy()).max_decoding_message_size(MAX_ANSWER_BYTES))
}

fn with_tls(endpoint: &Endpoint, ca_pem: Option<&[u8]>) -> Result<Endpoint, tonic::transport::Error> {
    let Some(pem) = ca_pem else {
        return endpoint.clone().tls_config(ClientTlsConfig::new().with_native_roots());
    };
    let only_extra = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    // A system without a single root certificate is an error for the TLS library, but not for whoever
    // brings his own.
    endpoint
        .clone()
        .tls_config(only_extra.clone().with_native_roots())
        .or_else(|_| endpoint.clone().tls_config(only_extra))
}

/// Whether `pem` holds a certificate at all: the TLS library would pass over a file without one.
pub(crate) fn check_ca(pem: &[u8]) -> Result<(), Error> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    if pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
        Ok(())
    } else {
        Err(Error::CaCertificate("it holds no certificate in PEM form".to_owned()))
    }
}
