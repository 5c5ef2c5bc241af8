use cluster_core::Event;

#[derive(Event)]
union Changed {
    number: u64,
    bytes: [u8; 8],
}

fn main() {}
