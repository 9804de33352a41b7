add_executable(archive_fuzz ${CMAKE_CURRENT_LIST_DIR}/archive_fuzz.c)
target_link_libraries(archive_fuzz PRIVATE deploy -fsanitize=fuzzer)
# Without a fuzzing run: every input that was kept must still pass.
add_test(NAME fuzz_archive
  COMMAND archive_fuzz -runs=0 ${CMAKE_CURRENT_LIST_DIR}/corpus/archive)
