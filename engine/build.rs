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

/// Compiles the C++ against libtorch's headers. Loops run on libtorch's own threads: OpenMP's.
fn compile(headers: &str) {
    println!("cargo:rerun-if-changed=src/cpp");
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .pic(true)
        .warnings(false)
        // Whatever the profile: these loops are what a search waits for.
        .opt_level(3)
        .flag("-fopenmp")
        .flag_if_supported("-ffp-contract=fast")
        .flag_if_supported("-Wno-psabi")
        .include(format!("{headers}/include"))
        .file("src/cpp/kernels.cpp")
        .compile("skein_kernels");
    println!("cargo:rustc-link-lib=dylib=gomp");
}
