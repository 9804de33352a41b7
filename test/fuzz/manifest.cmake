add_executable(manifest_fuzz ${CMAKE_CURRENT_LIST_DIR}/manifest_fuzz.c)
target_link_libraries(manifest_fuzz PRIVATE policy -fsanitize=fuzzer)
# Without a fuzzing run: every input that was kept must still pass.
add_test(NAME fuzz_manifest
  COMMAND manifest_fuzz -runs=0 ${CMAKE_CURRENT_LIST_DIR}/corpus/manifest ${CMAKE_CURRENT_LIST_DIR}/../policy/manifest)
