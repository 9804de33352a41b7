add_executable(signature_fuzz ${CMAKE_CURRENT_LIST_DIR}/signature_fuzz.c)
target_link_libraries(signature_fuzz PRIVATE deploy policy -fsanitize=fuzzer)
# Without a fuzzing run: every input that was kept must still pass.
add_test(NAME fuzz_signature
  COMMAND signature_fuzz -runs=0 ${CMAKE_CURRENT_LIST_DIR}/corpus/signature)
