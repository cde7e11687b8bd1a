// Says four lines, of which two belong together, and ends.

fn main() {
    println!("INFO begins");
    println!("ERROR something broke");
    println!("  at the second line");
    println!("{{\"status\": 404, \"path\": \"/x\"}}");
    println!("LAST words");
    std::process::exit(5);
}
