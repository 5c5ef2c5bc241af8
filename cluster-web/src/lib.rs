//! actix-web applications as a cluster.
