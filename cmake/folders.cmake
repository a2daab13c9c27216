# Targets from folders: a file that appears in a folder is compiled, with no list to edit. A folder
# without sources is skipped.

# Sources of these are built apart, into the plugin.
set(CARNOT_PLUGIN_FOLDERS "/(cuda|cublaslt|cudnn)/")

set(CARNOT_AVX2_FLAGS -mavx2 -mfma -mf16c)
set(CARNOT_AVX512_FLAGS ${CARNOT_AVX2_FLAGS} -mavx512f -mavx512bw -mavx512dq -mavx512vl)

# Sets `variable` to the .cpp files below `folder` that the target's processor can run, ISA flags
# applied.
function(carnot_sources variable folder)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "${CARNOT_PLUGIN_FOLDERS}")
  carnot_keep_runnable(sources)
  foreach(isa IN ITEMS AVX2 AVX512)
    string(TOLOWER ${isa} suffix)
    set(matching ${sources})
    list(FILTER matching INCLUDE REGEX "_${suffix}\\.cpp$")
    if(matching)
      set_property(SOURCE ${matching} APPEND PROPERTY COMPILE_OPTIONS ${CARNOT_${isa}_FLAGS})
    endif()
  endforeach()
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()

# Drops of `variable`'s files what is for another processor. For x86-64 alone are the files of its
# instruction sets, and those that bring in Xbyak, themselves or by a header; *_elsewhere.cpp stands
# in for them on the others.
function(carnot_keep_runnable variable)
  set(sources ${${variable}})
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    list(FILTER sources EXCLUDE REGEX "_elsewhere\\.cpp$")
  else()
    list(FILTER sources EXCLUDE REGEX "_(avx2|avx512)\\.cpp$")
    get_property(generators GLOBAL PROPERTY CARNOT_GENERATORS)
    if(NOT generators)
      carnot_includers(generators "<xbyak/")
      set_property(GLOBAL PROPERTY CARNOT_GENERATORS ${generators})
    endif()
    list(REMOVE_ITEM sources ${generators})
  endif()
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()

# Sets `variable` to the files of src/ and tests/suites/ that include `prefix`..., themselves or
# through headers.
function(carnot_includers variable prefix)
  file(GLOB_RECURSE files "${CMAKE_SOURCE_DIR}/src/*.h" "${CMAKE_SOURCE_DIR}/src/*.cpp"
    "${CMAKE_SOURCE_DIR}/tests/suites/*.h" "${CMAKE_SOURCE_DIR}/tests/suites/*.cpp")
  set(wanted "${prefix}")
  while(wanted)
    list(POP_FRONT wanted name)
    foreach(file IN LISTS files)
      file(STRINGS "${file}" lines REGEX "^#include ${name}")
      if(lines AND NOT file IN_LIST found)
        list(APPEND found "${file}")
        if(file MATCHES "\\.h$")
          string(REGEX REPLACE "^${CMAKE_SOURCE_DIR}/(src|tests)/" "" header "${file}")
          list(APPEND wanted "\"${header}\"")
        endif()
      endif()
    endforeach()
  endwhile()
  set(${variable} ${found} PARENT_SCOPE)
endfunction()

# Compiles folder/*.fbs to <build>/generated/engine/schema/*_generated.h.
function(carnot_schemas folder)
  add_custom_target(carnot_schemas)
  file(GLOB schemas CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.fbs")
  if(NOT schemas)
    return()
  endif()
  find_program(FLATC_PROGRAM flatc REQUIRED)
  string(REGEX REPLACE "^src/" "" relative "${folder}")
  set(destination "${CMAKE_BINARY_DIR}/generated/${relative}")
  foreach(schema IN LISTS schemas)
    get_filename_component(name "${schema}" NAME_WE)
    set(header "${destination}/${name}_generated.h")
    add_custom_command(OUTPUT "${header}"
      COMMAND "${FLATC_PROGRAM}" --cpp --scoped-enums -o "${destination}" "${schema}"
      DEPENDS ${schemas} VERBATIM)
    list(APPEND headers "${header}")
  endforeach()
  add_custom_target(carnot_schema_headers DEPENDS ${headers})
  add_dependencies(carnot_schemas carnot_schema_headers)
endfunction()

# carnot_library(name FOLDERS ... LINKS ...): a shared library of src's folders, each an object
# library carnot_<folder>.
function(carnot_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "FOLDERS;LINKS")
  foreach(folder IN LISTS arg_FOLDERS)
    carnot_sources(sources "src/${folder}")
    if(sources)
      string(REPLACE "/" "_" target "carnot_objects_${folder}")
      add_library(${target} OBJECT ${sources})
      carnot_include_paths(${target} PRIVATE)
      add_dependencies(${target} carnot_schemas)
      list(APPEND objects ${target})
    endif()
  endforeach()
  if(NOT objects)
    return()
  endif()
  add_library(${name} SHARED)
  target_link_libraries(${name} PRIVATE ${objects})
  # The public headers use nothing: who links an installed library needs no other.
  foreach(library IN LISTS arg_LINKS)
    if(library MATCHES "^carnot")
      target_link_libraries(${name} PUBLIC ${library})
    else()
      target_link_libraries(${name} PUBLIC $<BUILD_INTERFACE:${library}>)
    endif()
  endforeach()
  if(NOT CARNOT_SANITIZE)  # whose runtime may be in the program alone
    target_link_options(${name} PRIVATE LINKER:--no-undefined)
  endif()
  carnot_include_paths(${name} PUBLIC)
  set_target_properties(${name} PROPERTIES INSTALL_RPATH "$ORIGIN"
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
endfunction()

# carnot_plugin(name FOLDERS ... LINKS ... INCLUDES ...): a library loaded by dlopen, of src's
# folders.
function(carnot_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "FOLDERS;LINKS;INCLUDES")
  foreach(folder IN LISTS arg_FOLDERS)
    file(GLOB_RECURSE found CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${folder}/*.cpp")
    list(APPEND sources ${found})
  endforeach()
  add_library(${name} MODULE ${sources})
  carnot_include_paths(${name} PRIVATE)
  target_include_directories(${name} SYSTEM PRIVATE ${arg_INCLUDES})
  add_dependencies(${name} carnot_schemas)
  target_link_libraries(${name} PRIVATE ${arg_LINKS})
  if(NOT CARNOT_SANITIZE)
    target_link_options(${name} PRIVATE LINKER:--no-undefined)
  endif()
endfunction()

# <build>/generated/build_id.h: an id that changes with every header, the version and the compiler,
# so that a plugin of another build is known as such.
function(carnot_build_id)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS
    "${CMAKE_SOURCE_DIR}/include/*.h" "${CMAKE_SOURCE_DIR}/src/*.h")
  set(output "${CMAKE_BINARY_DIR}/generated/build_id.h")
  set(script "${CMAKE_SOURCE_DIR}/cmake/build_id.cmake")
  set(salt "${PROJECT_VERSION} ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} "
    "${CMAKE_BUILD_TYPE} ${CARNOT_SANITIZE}")
  add_custom_command(OUTPUT "${output}"
    COMMAND "${CMAKE_COMMAND}" "-DHEADERS=${headers}" "-DSALT=${salt}" "-DOUTPUT=${output}"
      -P "${script}"
    DEPENDS ${headers} "${script}" VERBATIM)
  add_custom_target(carnot_build_id DEPENDS "${output}")
  add_dependencies(carnot_schemas carnot_build_id)
endfunction()

function(carnot_include_paths target scope)
  target_include_directories(${target} ${scope}
    "$<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include;${CMAKE_SOURCE_DIR}/src>")
  target_include_directories(${target} SYSTEM ${scope}
    "$<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/generated>")
endfunction()

# carnot_program(name SOURCES folders and files... LINKS ... INCLUDES ...): an executable.
function(carnot_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINKS;INCLUDES")
  foreach(source IN LISTS arg_SOURCES)
    if(source MATCHES "\\.cpp$")
      list(APPEND sources "${source}")
    else()
      carnot_sources(found "${source}")
      list(APPEND sources ${found})
    endif()
  endforeach()
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE ${arg_LINKS})
  foreach(folder IN LISTS arg_INCLUDES)
    target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/${folder}")
  endforeach()
endfunction()

# carnot_program_parts(name SOURCES folder LINKS ... INCLUDES ...): a program's sources but main.cpp,
# for the program and for what looks into it.
function(carnot_program_parts name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SOURCES" "LINKS;INCLUDES")
  carnot_sources(sources "${arg_SOURCES}")
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC ${arg_LINKS})
  foreach(folder IN LISTS arg_INCLUDES)
    target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}/${folder}")
  endforeach()
endfunction()

# carnot_python_module(name SOURCES folder LINKS ...): a nanobind module in <build>/python.
function(carnot_python_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SOURCES" "LINKS")
  carnot_sources(sources "${arg_SOURCES}")
  if(NOT sources)
    return()
  endif()
  if(NOT DEFINED Python_EXECUTABLE AND EXISTS "${CMAKE_SOURCE_DIR}/.venv/bin/python")
    set(Python_EXECUTABLE "${CMAKE_SOURCE_DIR}/.venv/bin/python")
  endif()
  find_package(Python 3.9 COMPONENTS Interpreter Development.Module)
  if(Python_FOUND)
    execute_process(COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir
      OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE
      RESULT_VARIABLE missing ERROR_QUIET)
  endif()
  if(NOT Python_FOUND OR missing)
    message(WARNING "No Python bindings: needs Python 3.9 with headers and nanobind; "
      "run ./dev setup.")
    return()
  endif()
  find_package(nanobind CONFIG REQUIRED)
  nanobind_add_module(${name} NB_STATIC NB_SUPPRESS_WARNINGS ${sources})
  target_link_libraries(${name} PRIVATE ${arg_LINKS})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/apps")
  set_target_properties(${name} PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/python")
endfunction()

# carnot_fuzzers(LINKS...): one libFuzzer program for each target of tests/fuzz/targets.h.
function(carnot_fuzzers)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/fuzz/targets/*.cpp")
  add_library(fuzz_targets STATIC ${sources})
  target_include_directories(fuzz_targets PRIVATE
    "${CMAKE_SOURCE_DIR}/tests" "${CMAKE_SOURCE_DIR}/apps")
  target_link_libraries(fuzz_targets PRIVATE ${ARGN})
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME_WE)
    add_executable(${name} "${CMAKE_SOURCE_DIR}/tests/fuzz/fuzzer.cpp")
    target_compile_definitions(${name} PRIVATE CARNOT_FUZZ_TARGET="${name}")
    target_link_libraries(${name} PRIVATE fuzz_targets ${ARGN})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endforeach()
endfunction()
