//! The access log with a writer that works, one that stands still, and one that fails.

use std::{fs, sync::Arc};

use super::*;
use crate::observe::{Recorder, line::tests::sample};

/// A path of this test alone.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ringlane-access-log-{}-{name}", std::process::id()))
}

#[test]
fn lines_arrive_whole_and_in_order() {
    let path = path("order");
    let board = Board::new(1);
    let log = AccessLog::start(LogTarget::File(path.clone()), &board).unwrap();
    let route: Arc<str> = "app".into();
    let mut recorder = Recorder::new(board.slot(0), Some(log.handle()));
    for n in 0..2_000 {
        recorder.record(&Outcome { response_bytes: n, ..sample(&route) });
    }
    recorder.retire();
    assert!(log.close(Duration::from_secs(20)));
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let counters = board.slot(0);
    assert_eq!(counters.counters().access_log_lines.get(), 2_000);
    assert_eq!(counters.counters().access_log_lines_dropped.get(), 0);
    for (n, line) in text.lines().enumerate() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["response_bytes"], n);
    }
    assert_eq!(text.lines().count(), 2_000);
}

#[test]
fn a_few_lines_wait_for_the_tick() {
    let board = Board::new(1);
    let (queue, messages) = sync_channel(4);
    let route: Arc<str> = "app".into();
    let mut recorder = Recorder::new(board.slot(0), Some(AccessLogHandle::new(queue)));
    recorder.record(&sample(&route));
    (1..BUFFER_AGE_TICKS_MAX).for_each(|_| recorder.tick(Vec::new));
    assert!(messages.try_recv().is_err());
    recorder.tick(Vec::new);
    let Ok(Message::Lines(lines, _)) = messages.try_recv() else { panic!("no lines came") };
    assert_eq!(lines.iter().filter(|&&byte| byte == b'\n').count(), 1);
}

#[test]
fn a_writer_that_stands_still_costs_lines_not_time() {
    for queue_buffers in [3, 100] {
        let board = Board::new(1);
        let (queue, messages) = sync_channel(queue_buffers);
        let route: Arc<str> = "app".into();
        let mut recorder = Recorder::new(board.slot(0), Some(AccessLogHandle::new(queue)));
        for _ in 0..10_000 {
            recorder.record(&sample(&route));
        }
        // The writer comes back to life, and gives the buffers back.
        let mut written = 0;
        while let Ok(Message::Lines(lines, home)) = messages.try_recv() {
            written += lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
            send_home(lines, &home);
        }
        let counters = recorder.counters();
        let dropped = counters.access_log_lines_dropped.get();
        assert!(written > 0 && dropped > 0);
        assert_eq!(written, counters.access_log_lines.get());

        recorder.retire();
        let Ok(Message::Lines(lines, _)) = messages.try_recv() else { panic!("no lines came") };
        written += lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
        assert_eq!(written + dropped, 10_000);
    }
}

#[test]
fn a_file_that_was_moved_away_is_opened_again() {
    let (path, moved) = (path("rotate"), path("rotate.1"));
    let board = Board::new(1);
    let log = AccessLog::start(LogTarget::File(path.clone()), &board).unwrap();
    let route: Arc<str> = "app".into();
    let mut recorder = Recorder::new(board.slot(0), Some(log.handle()));
    fs::rename(&path, &moved).unwrap();
    log.reopen();
    recorder.record(&sample(&route));
    recorder.retire();
    assert!(log.close(Duration::from_secs(20)));
    assert_eq!(fs::read_to_string(&moved).unwrap(), "");
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    fs::remove_file(&path).unwrap();
    fs::remove_file(&moved).unwrap();
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_with_its_name() {
    let target = LogTarget::File("/nowhere/access.log".into());
    let error = AccessLog::start(target, &Board::new(1)).unwrap_err();
    assert!(error.to_string().contains("/nowhere/access.log"), "{error}");
}

#[test]
fn failed_writes_are_counted() {
    let board = Board::new(1);
    let log = AccessLog::start(LogTarget::File("/dev/full".into()), &board).unwrap();
    let route: Arc<str> = "app".into();
    let mut recorder = Recorder::new(board.slot(0), Some(log.handle()));
    recorder.record(&sample(&route));
    recorder.retire();
    assert!(log.close(Duration::from_secs(20)));
    assert_eq!(board.process().access_log_write_errors.get(), 1);
}
