//! The certificate and key that the options name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cluster_core::TlsOptions;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file holds no PEM of its kind, or cannot be read.
    #[error("{option}: {} cannot be read as PEM", path.display())]
    Pem {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not go together, or are not supported.
    #[error("--tls.cert {} and --tls.key {} cannot be used", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        #[source]
        source: rustls::Error,
    },
}

/// The configuration that the options name; none where they name no certificate.
pub(crate) fn load(options: &TlsOptions) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let (Some(cert), Some(key)) = (&options.cert, &options.key) else {
        return Ok(None);
    };
    let pem = |option, path: &Path, source| TlsError::Pem {
        option,
        path: path.into(),
        source,
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| pem("--tls.cert", cert, source))?;
    if chain.is_empty() {
        return Err(pem(
            "--tls.cert",
            cert,
            rustls::pki_types::pem::Error::NoItemsFound,
        ));
    }
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|source| pem("--tls.key", key, source))?;
    let pair = |source| TlsError::Pair {
        cert: cert.clone(),
        key: key.clone(),
        source,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(pair)?;
    Ok(Some(Arc::new(config)))
}
