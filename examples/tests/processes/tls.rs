//! TLS, with a certificate made for the occasion.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::restart::roll;
use crate::support::{Address, Connection, Setup};

fn connect(address: &Address, trusted: &CertificateDer<'static>) -> Connection {
    let Address::Tcp(address) = address else {
        panic!("TLS is served on TCP")
    };
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = Connection::tcp(*address, Duration::from_secs(30)).unwrap();
    Connection::over(StreamOwned::new(client, stream))
}

#[test]
fn a_certificate_is_served_and_outlives_a_restart() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let trusted = made.cert.der().clone();
    let cluster = Setup::hello()
        .file("cert.pem", made.cert.pem())
        .file("key.pem", made.signing_key.serialize_pem())
        .flag("--tls.cert", "cert.pem")
        .flag("--tls.key", "key.pem")
        .start();
    let mut connection = connect(&cluster.app(), &trusted);
    let pid = connection.ask("/pid").unwrap().pid();
    assert_eq!(
        connection.ask("/pid").unwrap().pid(),
        pid,
        "it is kept alive"
    );
    roll(&cluster);
    let mut after = connect(&cluster.app(), &trusted);
    assert_ne!(after.ask("/pid").unwrap().pid(), pid);
    // Who speaks no TLS gets no answer, and harms nobody.
    assert!(Connection::get(&cluster.app(), "/").is_err());
    assert_eq!(
        connect(&cluster.app(), &trusted).ask("/").unwrap().body,
        "hello"
    );
    cluster.stop();
}
