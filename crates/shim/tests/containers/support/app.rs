// The program in the tests' images: the first argument says what it does. Standard library only, linked statically.

use std::io::{Read, Write};

unsafe extern "C" {
    fn signal(number: i32, handler: usize) -> usize;
    fn pause() -> i32;
    fn write(file: i32, bytes: *const u8, length: usize) -> isize;
    fn _exit(code: i32) -> !;
}

const SIGTERM: i32 = 15;
const SIGPIPE: i32 = 13;

static mut SIGPIPE_WAS: usize = 99;

/// Runs before Rust's runtime, which changes what happens at SIGPIPE.
#[used]
#[unsafe(link_section = ".init_array")]
static EARLY: extern "C" fn() = {
    extern "C" fn early() {
        unsafe { SIGPIPE_WAS = signal(SIGPIPE, 0) };
    }
    early
};

extern "C" fn on_term(_: i32) {
    let text = b"got SIGTERM\n";
    unsafe {
        write(1, text.as_ptr(), text.len());
        _exit(7);
    }
}

fn forever() -> ! {
    println!("ready");
    loop {
        unsafe { pause() };
    }
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().collect();
    // Until a file is there; then what the arguments behind it say.
    if arguments[1] == "waits" {
        println!("waiting");
        while !std::path::Path::new(&arguments[2]).exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        arguments.drain(1..3);
    }
    let argument = |index: usize| arguments.get(index).map(String::as_str).unwrap_or_default();
    match argument(1) {
        "exit" => std::process::exit(argument(2).parse().unwrap()),
        "say" => {
            println!("{}", argument(2));
            eprintln!("{}", argument(3));
        }
        // A line an argument; `~<milliseconds>` is a pause, `!<code>` the end.
        "lines" => arguments[2..].iter().for_each(|argument| {
            if let Some(pause) = argument.strip_prefix('~') {
                std::thread::sleep(std::time::Duration::from_millis(pause.parse().unwrap()));
            } else if let Some(code) = argument.strip_prefix('!') {
                std::process::exit(code.parse().unwrap());
            } else {
                println!("{argument}");
            }
        }),
        "arguments" => println!("{:?}", &arguments[2..]),
        "environment" => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        "sigpipe" => println!("{}", unsafe { SIGPIPE_WAS }),
        "folder" => println!("{}", std::env::current_dir().unwrap().display()),
        "show" => arguments[2..].iter().for_each(|path| match std::fs::read_to_string(path) {
            Ok(text) => print!("{text}"),
            Err(error) => println!("{path}: {error}"),
        }),
        "write" => arguments[2..].iter().for_each(|path| match std::fs::write(path, "0") {
            Ok(()) => println!("{path}: written"),
            Err(error) => println!("{path}: {:?} {error}", error.kind()),
        }),
        // What comes in goes out.
        "cat" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).unwrap();
            print!("{text}");
            eprintln!("{} bytes", text.len());
        }
        // Exit code 0 when the variable has the value.
        "has" => std::process::exit(i32::from(std::env::var(argument(2)).as_deref() != Ok(argument(3)))),
        // Exit code 0 when the file is there.
        "exists" => std::process::exit(i32::from(!std::path::Path::new(argument(2)).exists())),
        // The first time: makes the file, waits so many milliseconds, and ends with the code. Then it stays.
        "again" => {
            if !std::path::Path::new(argument(2)).exists() {
                std::fs::write(argument(2), "").unwrap();
                println!("first");
                std::thread::sleep(std::time::Duration::from_millis(argument(3).parse().unwrap()));
                std::process::exit(argument(4).parse().unwrap());
            }
            println!("again");
            unsafe { signal(SIGTERM, on_term as *const () as usize) };
            forever()
        }
        // Every process, its command behind its number.
        "processes" => std::fs::read_dir("/proc").unwrap().for_each(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let (Ok(_), Ok(line)) = (name.parse::<u32>(), std::fs::read(format!("/proc/{name}/cmdline"))) {
                println!("{name} {}", String::from_utf8_lossy(&line).replace('\0', " ").trim_end());
            }
        }),
        // Ends with the code, but leaves another process behind.
        "leave" => {
            std::process::Command::new("/app").args(&arguments[3..]).spawn().unwrap();
            std::process::exit(argument(2).parse().unwrap());
        }
        // Whether input and output are a terminal, and what it is called.
        "terminal" => {
            use std::io::IsTerminal;
            let is = [
                std::io::stdin().is_terminal(),
                std::io::stdout().is_terminal(),
                std::io::stderr().is_terminal(),
            ];
            println!("{is:?} {}", std::env::var("TERM").unwrap_or_default());
            eprintln!("an error");
            std::fs::write("/dev/tty", "to the terminal\n").unwrap();
            std::process::exit(argument(2).parse().unwrap());
        }
        "forever" => forever(),
        "trap" => {
            unsafe { signal(SIGTERM, on_term as *const () as usize) };
            forever()
        }
        "ignore" => {
            unsafe { signal(SIGTERM, 1) };
            forever()
        }
        "eat" => {
            let mut held = Vec::new();
            loop {
                held.push(vec![1_u8; 1 << 20]);
            }
        }
        "flood" => {
            let line = [b'x'; 999];
            let mut out = std::io::stdout().lock();
            for _ in 0..argument(2).parse::<usize>().unwrap() {
                out.write_all(&line).unwrap();
                out.write_all(b"\n").unwrap();
            }
            println!("done");
        }
        "serve" => {
            let listener = std::net::TcpListener::bind(("127.0.0.1", argument(2).parse().unwrap())).unwrap();
            println!("ready");
            for stream in listener.incoming() {
                stream.unwrap().write_all(b"hello from the neighbour").unwrap();
            }
        }
        "fetch" => {
            let address = ("127.0.0.1", argument(2).parse().unwrap());
            let mut stream = loop {
                match std::net::TcpStream::connect(address) {
                    Ok(stream) => break stream,
                    Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
                }
            };
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            println!("{text}");
        }
        other => panic!("{other}?"),
    }
}
