//! Rebuilds when a file that the binary embeds changes (migrations, templates, configuration).

fn main() {
    for folder in ["migrations", "templates", "config"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
