# Compiler, linker and cache settings for every target.

# Release is portable code: a file named *_avx2.cpp or *_avx512.cpp gets its flags from its name.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g")

add_compile_options(-Wall -Wextra -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++'s stable_sort uses what it deprecates; a plugin's functions return C++ types to a
  # caller of the same build.
  add_compile_options(-Wno-deprecated-declarations -Wno-return-type-c-linkage)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # std::string's operator+ at -O2 (GCC bug 105651).
  add_compile_options(-Wno-restrict)
endif()
add_compile_options(-fno-semantic-interposition)

if(CARNOT_SANITIZE)
  add_compile_options(-fsanitize=${CARNOT_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer -O1 -g1)  # lines of stack traces; more takes the compiler minutes
  add_link_options(-fsanitize=${CARNOT_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Its flow analysis loses its way among the instrumentation.
    add_compile_options(-Wno-maybe-uninitialized)
  else()
    # Reads a signature in front of every function that is called; generated code has none.
    add_compile_options(-fno-sanitize=function)
  endif()
endif()
if(CARNOT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Paths below the source folder alone, so that checkouts in different places share one cache.
add_compile_options("-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.")
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${CCACHE_PROGRAM}")
endif()

find_program(MOLD_PROGRAM mold)
find_program(LLD_PROGRAM NAMES ld.lld ld.lld-19)
if(CMAKE_CROSSCOMPILING)
  # A cross compiler has its own.
elseif(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
elseif(LLD_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=lld)
endif()
