//! Boards, between mappings of one process and between threads: they are as apart as those of two processes.

use std::fs::File;
use std::io::Write as _;
use std::thread;

use proptest::prelude::*;
use rustix::mm::{MprotectFlags, mprotect};

use super::*;

const KEY: u64 = 0x1234_5678_9abc_def0;

fn board() -> (Board, BoardReader) {
    let board = Board::create().unwrap();
    let reader = read(&board);
    (board, reader)
}

fn read(board: &Board) -> BoardReader {
    BoardReader::open(std::process::id(), board.descriptor(), board.key()).unwrap()
}

fn taken(reader: &BoardReader) -> Vec<Vec<u8>> {
    reader.take().iter().map(<[u8]>::to_vec).collect()
}

#[test]
fn what_is_published_is_seen_in_its_order() {
    let (mut board, reader) = board();
    assert!(!reader.has_news());
    for record in [&b""[..], b"seven b", b"eight by", b"nine byte"] {
        assert!(board.publish(record));
    }
    assert!(reader.has_news());
    let all = [&b""[..], b"seven b", b"eight by", b"nine byte"];
    assert_eq!(taken(&reader), all);
    assert!(!reader.has_news());
    let later = read(&board);
    board.publish(b"later");
    assert_eq!(
        (taken(&later), taken(&reader)),
        (vec![b"later".to_vec()], vec![b"later".to_vec()])
    );
}

#[test]
fn what_is_too_large_is_left_out() {
    let (mut board, reader) = board();
    assert!(!board.publish(&vec![7; MOST_RECORD_BYTES + 1]));
    assert!(!reader.has_news());
    for n in 0..4 {
        assert!(board.publish(&vec![n; MOST_RECORD_BYTES]));
    }
    assert_eq!(
        taken(&reader).len(),
        4,
        "exactly as much as there is room for"
    );
}

#[test]
fn who_is_overtaken_begins_anew() {
    let (mut board, reader) = board();
    for _ in 0..5 {
        board.publish(&vec![7; MOST_RECORD_BYTES]);
    }
    assert!(reader.has_news());
    assert!(taken(&reader).is_empty());
    assert!(!reader.has_news());
    board.publish(b"next");
    assert_eq!(taken(&reader), [b"next"]);
    // What is about to be overwritten does not count either.
    board.publish(b"lost");
    let begun = reader.at.load(Relaxed) + WORDS + 1;
    board.map.layout().marks.begun.store(begun, Relaxed);
    assert!(taken(&reader).is_empty());
}

#[test]
fn positions_wrap() {
    let (mut board, reader) = board();
    let marks = &board.map.layout().marks;
    let end = usize::MAX - 2;
    marks.begun.store(end, Relaxed);
    marks.head.store(end, Relaxed);
    reader.at.store(end, Relaxed);
    board.head = end;
    for _ in 0..3 {
        board.publish(b"a record of some words");
        assert_eq!(taken(&reader), [b"a record of some words"]);
    }
}

#[test]
fn garbage_is_no_record() {
    let (mut board, reader) = board();
    board.publish(b"one");
    board.publish(b"two");
    board.map.layout().word(2).store(usize::MAX, Relaxed);
    assert_eq!(taken(&reader), [b"one"]);
    for head in [usize::MAX, 1, WORDS * 3, 0] {
        board.map.layout().marks.head.store(head, Relaxed);
        taken(&reader);
        assert!(!reader.has_news());
    }
}

#[test]
fn what_is_no_board_is_refused() {
    let refused = |fd: BorrowedFd<'_>| BoardReader::of(fd, KEY).err().map(|error| error.kind());
    let invalid = Some(io::ErrorKind::InvalidData);
    assert_eq!(refused(tempfile::tempfile().unwrap().as_fd()), invalid);
    let made = |size: usize, seals: SealFlags, key: u64| {
        let fd = memfd_create("x", MemfdFlags::ALLOW_SEALING).unwrap();
        let mut file = File::from(fd);
        let words = MAGIC.into_iter().chain(halves(key));
        let name: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
        file.write_all(&name).unwrap();
        file.set_len(size as u64).unwrap();
        fcntl_add_seals(&file, seals).unwrap();
        file
    };
    let size = size_of::<Layout>();
    assert_eq!(refused(made(size, SEALS, KEY).as_fd()), None);
    assert_eq!(refused(made(size, SEALS, KEY + 1).as_fd()), invalid);
    assert_eq!(refused(made(size, SEALS, KEY + (1 << 32)).as_fd()), invalid);
    assert_eq!(refused(made(size - 1, SEALS, KEY).as_fd()), invalid);
    assert_eq!(refused(made(size + 4096, SEALS, KEY).as_fd()), invalid);
    for missing in [SealFlags::SHRINK, SealFlags::GROW, SealFlags::FUTURE_WRITE] {
        assert_eq!(refused(made(size, SEALS - missing, KEY).as_fd()), invalid);
    }
    let board = Board::create().unwrap();
    assert!(BoardReader::open(std::process::id(), board.descriptor(), KEY).is_err());
    assert!(BoardReader::open(std::process::id(), u32::MAX, board.key()).is_err());
    assert!(BoardReader::open(0, board.descriptor(), board.key()).is_err());
}

#[test]
fn nobody_else_can_write() {
    let (board, reader) = board();
    let path = format!("/proc/self/fd/{}", board.descriptor());
    // As its maker's user one may open it for writing, and that is all.
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    assert!(file.write_all(&[7; 8]).is_err());
    assert!(file.set_len(0).is_err());
    assert!(Map::new(file.as_fd(), ProtFlags::READ | ProtFlags::WRITE).is_err());
    assert!(fcntl_add_seals(&file, SealFlags::WRITE).is_err());
    for map in [reader.map, Map::new(file.as_fd(), ProtFlags::READ).unwrap()] {
        let (start, size) = (map.0.as_ptr().cast(), size_of::<Layout>());
        // SAFETY: the range is exactly this mapping, of which nothing is borrowed.
        let made = unsafe { mprotect(start, size, MprotectFlags::READ | MprotectFlags::WRITE) };
        assert_eq!(made, Err(rustix::io::Errno::ACCESS));
    }
}

/// A record of this number: as long, and of such bytes, as the number says.
fn numbered(number: usize) -> Vec<u8> {
    let mut record = number.to_ne_bytes().to_vec();
    record.resize(record.len() + number * 7 % 1500, number as u8);
    record
}

/// What is read while it is written is whole, and in its order.
#[test]
fn threads_read_whole_records() {
    const RECORDS: usize = 300_000;
    const READERS: usize = 3;
    let (mut board, _) = board();
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..READERS {
            let reader = read(&board);
            let done = &done;
            scope.spawn(move || {
                let mut last = None;
                while last < Some(RECORDS) {
                    for record in reader.take().iter() {
                        let (number, _) = record.split_first_chunk().unwrap();
                        let number = usize::from_ne_bytes(*number);
                        assert!(last < Some(number));
                        assert!(record == numbered(number), "{number} is not whole");
                        last = Some(number);
                    }
                }
                done.fetch_add(1, Relaxed);
            });
        }
        // At full speed, and then until nobody is overtaken any more.
        for number in 0.. {
            board.publish(&numbered(number));
            if number > RECORDS {
                if done.load(Relaxed) == READERS {
                    break;
                }
                thread::yield_now();
            }
        }
    });
}

proptest! {
    /// Whenever one looks, one sees all that came since, or nothing where it was too much.
    #[test]
    fn one_sees_all_or_nothing(steps in prop::collection::vec(prop_oneof![
        4 => (0usize..=MOST_RECORD_BYTES).prop_map(Some),
        8 => (0usize..400).prop_map(Some),
        2 => Just(None),
    ], 0..200)) {
        let (mut board, reader) = board();
        let (mut since, mut words) = (Vec::new(), 0);
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Some(bytes) => {
                    let record = vec![n as u8; bytes];
                    prop_assert!(board.publish(&record));
                    words += 1 + bytes.div_ceil(WORD);
                    since.push(record);
                }
                None => {
                    let expected = if words > WORDS { Vec::new() } else { since };
                    prop_assert_eq!(taken(&reader), expected);
                    (since, words) = (Vec::new(), 0);
                }
            }
        }
    }
}
