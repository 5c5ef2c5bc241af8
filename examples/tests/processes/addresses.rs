//! Where an application may be served, and by how many threads.

use crate::support::{Address, Connection, Load, Setup};

#[test]
fn a_unix_socket_serves_and_is_gone_afterwards() {
    let setup = Setup::hello();
    let path = setup.path("app.sock");
    let cluster = setup
        .flag("--host", format!("unix:{}", path.display()))
        .start();
    assert_eq!(cluster.addresses(), [Address::Unix(path.clone())]);
    assert_eq!(cluster.get("/").body, "hello");
    let load = Load::on(&cluster.app(), 2, 2);
    crate::restart::roll(&cluster);
    load.end().assert_lost_only_to(&[]);
    cluster.stop_and(|| assert!(!path.exists(), "the socket is left"));
}

#[test]
fn an_ipv6_address_serves() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        println!("this machine has no IPv6: nothing to see");
        return;
    }
    let cluster = Setup::hello().flag("--host", "::1").start();
    assert!(matches!(cluster.app(), Address::Tcp(address) if address.is_ipv6()));
    assert_eq!(cluster.get("/").body, "hello");
    cluster.stop();
}

#[test]
fn several_addresses_serve_the_same_application() {
    let setup = Setup::hello();
    let path = setup.path("app.sock");
    let cluster = setup
        .flag("--host", "127.0.0.1")
        .flag("--host", "127.0.0.2")
        .flag("--host", format!("unix:{}", path.display()))
        .start();
    let addresses = cluster.addresses();
    assert_eq!(addresses.len(), 3, "{addresses:?}");
    for address in &addresses {
        assert_eq!(
            Connection::get(address, "/").unwrap().body,
            "hello",
            "{address:?}"
        );
    }
    cluster.stop();
}

#[test]
fn workers_of_several_threads_are_restarted_without_loss() {
    let cluster = Setup::hello().flag("--threads", 2).start();
    let load = Load::on(&cluster.app(), 6, 3);
    crate::restart::roll(&cluster);
    load.end().assert_lost_only_to(&[]);
    cluster.stop();
}

#[test]
fn a_fixed_warm_up_port_is_used_by_one_worker_after_the_other() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let cluster = Setup::hello()
        .flag("--workers", 3)
        .flag("--warm-up-port", port)
        .start();
    let warmed = cluster.log.since(0);
    let warmed = warmed
        .iter()
        .filter(|line| line.text.contains("warming up"));
    assert!(
        warmed.clone().count() == 3
            && warmed
                .clone()
                .all(|line| line.text.contains(&format!(":{port}")))
    );
    cluster.stop();
}
