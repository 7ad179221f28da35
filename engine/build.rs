//! Compiles the place of libtorch into the binary, so that it runs without `LD_LIBRARY_PATH`, and
//! what tch leaves out of libtorch's own interface.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_LIB");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    let libtorch = std::env::var("LIBTORCH_LIB").or_else(|_| std::env::var("LIBTORCH"));
    if let Ok(libtorch) = libtorch {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
        println!("cargo:rustc-env=SKEIN_LIBTORCH={libtorch}");
        // The headers lie where tch's own binding looks for them.
        let headers = std::env::var("LIBTORCH_INCLUDE").or_else(|_| std::env::var("LIBTORCH"));
        compile(headers.as_ref().unwrap_or(&libtorch));
        let version = format!("{libtorch}/build-version");
        println!("cargo:rerun-if-changed={version}");
        if let Ok(version) = std::fs::read_to_string(version) {
            println!("cargo:rustc-env=SKEIN_LIBTORCH_VERSION={}", version.trim());
        }
    }
}

/// Compiles `src/arithmetic.cpp` against libtorch's headers.
fn compile(headers: &str) {
    const SOURCE: &str = "src/arithmetic.cpp";
    println!("cargo:rerun-if-changed={SOURCE}");
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .pic(true)
        .warnings(false)
        .include(format!("{headers}/include"))
        .file(SOURCE)
        .compile("skein_arithmetic");
}
