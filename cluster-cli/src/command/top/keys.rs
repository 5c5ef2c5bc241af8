//! What a key does.

use std::path::PathBuf;

use cluster_core::Subject;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::deed::Deed;
use super::model::Model;
use super::screen::{Front, Screen, Typing, Wanted};

/// The longest line that can be typed, in characters.
const LINE: usize = 512;
/// Rows that a page of workers is.
const PAGE: usize = 10;

/// The keys of the first view, and what each is for.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("Up Down k j", "select a worker"),
    ("p", "pause it"),
    ("r", "resume it"),
    ("c", "recycle it: a successor takes its place"),
    ("i", "isolate it: it serves at an address of its own"),
    ("b", "bring it back: release it"),
    ("x", "end it, where it is isolated"),
    ("l", "change what it logs"),
    ("L M", "show what it, or the master, has logged lately"),
    ("s", "show the stacks of its threads"),
    ("f", "flame graph: profile it for 10 s, to a file"),
    ("+ -", "scale up, scale down"),
    ("R", "roll: replace all workers, one at a time"),
    ("P A", "pause all workers, have all accept again"),
    ("m", "mark the node down, or up again"),
    ("?", "these keys"),
    ("q ctrl-C", "leave"),
];

/// What is to be done beyond the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Leave,
    Do(Deed),
}

/// Takes in a key.
pub(super) fn press(screen: &mut Screen, key: KeyEvent, model: &Model) -> Option<Act> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && matches!(key.code, KeyCode::Char('c' | 'C')) {
        return Some(Act::Leave);
    }
    if control || key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    match screen.front.clone() {
        Front::Rows => rows(screen, key.code, model),
        Front::Help => {
            screen.front = Front::Rows;
            None
        }
        Front::Question(deed) => {
            screen.front = Front::Rows;
            match key.code {
                KeyCode::Char('y' | 'Y') => Some(Act::Do(deed)),
                _ => {
                    screen.say("nothing was done".to_owned(), false);
                    None
                }
            }
        }
        Front::Typing(typing) => type_in(screen, typing, key.code),
        Front::Text(mut text) => {
            let page = isize::try_from(screen.page).unwrap_or(1).max(1);
            match key.code {
                KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => {
                    screen.front = Front::Rows;
                    return None;
                }
                KeyCode::Up | KeyCode::Char('k') => text.scroll(-1, screen.page),
                KeyCode::Down | KeyCode::Char('j') => text.scroll(1, screen.page),
                KeyCode::PageUp | KeyCode::Char('b') => text.scroll(-page, screen.page),
                KeyCode::PageDown | KeyCode::Char(' ') => text.scroll(page, screen.page),
                KeyCode::Home | KeyCode::Char('g') => text.scroll(isize::MIN, screen.page),
                KeyCode::End | KeyCode::Char('G') => text.scroll(isize::MAX, screen.page),
                _ => {}
            }
            screen.front = Front::Text(text);
            None
        }
    }
}

fn rows(screen: &mut Screen, key: KeyCode, model: &Model) -> Option<Act> {
    let place = screen.place(model).unwrap_or(0);
    match key {
        KeyCode::Char('q') => return Some(Act::Leave),
        KeyCode::Char('?' | 'h') => screen.front = Front::Help,
        KeyCode::Up | KeyCode::Char('k') => screen.select(place.saturating_sub(1), model),
        KeyCode::Down | KeyCode::Char('j') => screen.select(place + 1, model),
        KeyCode::PageUp => screen.select(place.saturating_sub(PAGE), model),
        KeyCode::PageDown => screen.select(place + PAGE, model),
        KeyCode::Home | KeyCode::Char('g') => screen.select(0, model),
        KeyCode::End | KeyCode::Char('G') => screen.select(usize::MAX, model),
        KeyCode::Char(letter) => {
            if let Some(deed) = of_cluster(letter, model) {
                return consider(screen, deed);
            }
            return of_worker(screen, letter, model);
        }
        _ => {}
    }
    None
}

fn of_cluster(letter: char, model: &Model) -> Option<Deed> {
    let from = u32::try_from(model.cluster.wanted).unwrap_or(u32::MAX);
    Some(match letter {
        '+' | '=' => Deed::Scale {
            from,
            to: from.saturating_add(1),
        },
        '-' => Deed::Scale {
            from,
            to: from.saturating_sub(1),
        },
        'R' => Deed::Roll,
        'P' => Deed::PauseAll,
        'A' => Deed::ResumeAll,
        'M' => Deed::Log {
            of: Subject::Master,
        },
        'm' if model.cluster.mark == "down" => Deed::MarkUp,
        'm' => Deed::MarkDown,
        _ => return None,
    })
}

fn of_worker(screen: &mut Screen, letter: char, model: &Model) -> Option<Act> {
    let worker = screen.selected(model)?.id;
    let deed = match letter {
        'p' => Deed::Pause {
            worker,
            force: false,
        },
        'r' => Deed::Resume { worker },
        'c' => Deed::Recycle { worker },
        'i' => Deed::Isolate { worker },
        'b' => Deed::Release {
            worker,
            retire: false,
        },
        'x' => Deed::Release {
            worker,
            retire: true,
        },
        'L' => Deed::Log {
            of: Subject::Worker(worker),
        },
        's' => Deed::Stacks { worker },
        'l' | 'f' => {
            let (what, line) = match letter {
                'l' => (Wanted::Filter { worker }, String::new()),
                _ => (
                    Wanted::File { worker },
                    format!("{}-worker-{worker}.svg", file_name(&model.cluster.name)),
                ),
            };
            screen.front = Front::Typing(Typing { what, line });
            return None;
        }
        _ => return None,
    };
    consider(screen, deed)
}

/// A name as part of one of a file's.
fn file_name(name: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() { c } else { '-' };
    name.chars().take(32).map(kept).collect()
}

/// Asks first, or has it done.
fn consider(screen: &mut Screen, deed: Deed) -> Option<Act> {
    if deed.question().is_some() {
        screen.front = Front::Question(deed);
        None
    } else {
        Some(Act::Do(deed))
    }
}

fn type_in(screen: &mut Screen, mut typing: Typing, key: KeyCode) -> Option<Act> {
    match key {
        KeyCode::Esc => {
            screen.front = Front::Rows;
            return None;
        }
        KeyCode::Enter => {
            screen.front = Front::Rows;
            return typed(screen, &typing);
        }
        KeyCode::Backspace => {
            typing.line.pop();
        }
        KeyCode::Char(letter) if !letter.is_control() && typing.line.chars().count() < LINE => {
            typing.line.push(letter);
        }
        _ => {}
    }
    screen.front = Front::Typing(typing);
    None
}

fn typed(screen: &mut Screen, typing: &Typing) -> Option<Act> {
    let line = typing.line.trim().to_owned();
    let deed = match typing.what {
        Wanted::Filter { worker } => Deed::LogLevel {
            worker,
            filter: (!line.is_empty()).then_some(line),
        },
        Wanted::File { .. } if line.is_empty() => {
            screen.say(
                "a flame graph needs a file to be written to".to_owned(),
                true,
            );
            return None;
        }
        Wanted::File { worker } => Deed::Profile {
            worker,
            file: PathBuf::from(line),
        },
    };
    Some(Act::Do(deed))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;

    fn model(ids: &[u32]) -> Model {
        let mut model = Model::default();
        let workers: Vec<_> = ids
            .iter()
            .map(|id| json!({ "id": id, "pid": id }))
            .collect();
        let told = json!({ "name": "a/b", "wanted": 2, "mark": "up", "workers": workers });
        model.hear(told, Instant::now()).unwrap();
        model
    }

    fn keys(screen: &mut Screen, model: &Model, text: &str) -> Option<Act> {
        let mut last = None;
        for letter in text.chars() {
            let code = match letter {
                '\n' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                letter => KeyCode::Char(letter),
            };
            last = press(screen, code.into(), model);
        }
        last
    }

    #[test]
    fn the_selection_keeps_to_its_worker_and_then_to_its_place() {
        let (mut screen, model_of_three) = (Screen::default(), model(&[1, 2, 3]));
        let id = |screen: &Screen, model: &Model| screen.selected(model).map(|worker| worker.id);
        assert_eq!(id(&screen, &model_of_three), Some(1));
        keys(&mut screen, &model_of_three, "jjjj");
        assert_eq!(id(&screen, &model_of_three), Some(3));
        assert_eq!(id(&screen, &model(&[3, 4])), Some(3));
        assert_eq!(id(&screen, &model(&[7, 8])), Some(8));
        assert_eq!(id(&screen, &model(&[])), None);
        assert_eq!(keys(&mut screen, &model(&[]), "pcs"), None);
    }

    #[test]
    fn what_hurts_is_done_when_it_is_confirmed() {
        let (mut screen, model) = (Screen::default(), model(&[1, 2]));
        assert_eq!(keys(&mut screen, &model, "jp"), None);
        let deed = Deed::Pause {
            worker: 2,
            force: false,
        };
        assert_eq!(screen.front, Front::Question(deed.clone()));
        assert_eq!(keys(&mut screen, &model, "n"), None);
        assert_eq!(screen.said.text, "nothing was done");
        assert_eq!(keys(&mut screen, &model, "py"), Some(Act::Do(deed)));
        let back = Deed::Resume { worker: 2 };
        assert_eq!(keys(&mut screen, &model, "r"), Some(Act::Do(back)));
        let more = Deed::Scale { from: 2, to: 3 };
        assert_eq!(keys(&mut screen, &model, "+"), Some(Act::Do(more)));
        assert_eq!(keys(&mut screen, &model, "-q"), None, "q is no yes");
    }

    #[test]
    fn lines_are_typed() {
        let (mut screen, model) = (Screen::default(), model(&[4]));
        let filter = |filter: Option<&str>| {
            Some(Act::Do(Deed::LogLevel {
                worker: 4,
                filter: filter.map(str::to_owned),
            }))
        };
        assert_eq!(
            keys(&mut screen, &model, "linfo,q=debug\n"),
            filter(Some("info,q=debug"))
        );
        assert_eq!(keys(&mut screen, &model, "l \n"), filter(None));
        let drawn = Some(Act::Do(Deed::Profile {
            worker: 4,
            file: "a-b-worker-4.svg".into(),
        }));
        assert_eq!(keys(&mut screen, &model, "f\n"), drawn);
        keys(&mut screen, &model, "l\x1b");
        assert_eq!(screen.front, Front::Rows);
        keys(&mut screen, &model, &format!("l{}", "x".repeat(9999)));
        let Front::Typing(typing) = &screen.front else {
            panic!("{:?}", screen.front);
        };
        assert_eq!(typing.line.len(), LINE);
    }

    #[test]
    fn a_text_is_scrolled_and_closed() {
        let (mut screen, model) = (Screen::default(), model(&[4]));
        screen.show("t".to_owned(), vec!["line".to_owned(); 25]);
        let top = |screen: &Screen| match &screen.front {
            Front::Text(text) => Some(text.top),
            _ => None,
        };
        for (pressed, expected) in [
            ("j", 1),
            (" ", 11),
            ("  ", 15),
            ("k", 14),
            ("g", 0),
            ("G", 15),
        ] {
            assert_eq!(keys(&mut screen, &model, pressed), None);
            assert_eq!(top(&screen), Some(expected), "{pressed:?}");
        }
        assert_eq!(keys(&mut screen, &model, "q"), None);
        assert_eq!(screen.front, Front::Rows);
    }

    #[test]
    fn ctrl_c_leaves_from_everywhere_and_q_from_the_rows() {
        let model = model(&[1]);
        let out = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for before in ["", "?", "p", "l", "lq"] {
            let mut screen = Screen::default();
            keys(&mut screen, &model, before);
            assert_eq!(press(&mut screen, out, &model), Some(Act::Leave));
        }
        assert_eq!(keys(&mut Screen::default(), &model, "q"), Some(Act::Leave));
    }
}
