# For a cross build: libraries out of this machine's headers and sources, which are the same for
# every processor, so that no package of another architecture is installed. The headers are reached
# by links, since beside them lie this machine's own.
set(CARNOT_THIRD_PARTY "${CMAKE_BINARY_DIR}/third_party")
file(MAKE_DIRECTORY "${CARNOT_THIRD_PARTY}")
foreach(header IN ITEMS CLI flatbuffers fmt gtest nlohmann protozero xxhash.h)
  if(NOT EXISTS "/usr/include/${header}")
    message(FATAL_ERROR "No /usr/include/${header}: ./dev setup installs its package")
  endif()
  file(CREATE_LINK "/usr/include/${header}" "${CARNOT_THIRD_PARTY}/${header}" SYMBOLIC)
endforeach()
include_directories(SYSTEM "${CARNOT_THIRD_PARTY}")

add_library(fmt_library STATIC "${CMAKE_SOURCE_DIR}/cmake/fmt_library.cpp")
add_library(fmt::fmt ALIAS fmt_library)

set(GTEST_FOLDER /usr/src/googletest/googletest)
if(EXISTS "${GTEST_FOLDER}/src/gtest-all.cc")
  add_library(gtest_sources STATIC "${GTEST_FOLDER}/src/gtest-all.cc"
    "${GTEST_FOLDER}/src/gtest_main.cc")
  target_include_directories(gtest_sources SYSTEM PRIVATE "${GTEST_FOLDER}")
  target_link_libraries(gtest_sources PUBLIC Threads::Threads)
  add_library(GTest::gtest_main ALIAS gtest_sources)
endif()
