add_executable(cron_fuzz ${CMAKE_CURRENT_LIST_DIR}/cron_fuzz.c)
target_link_libraries(cron_fuzz PRIVATE common -fsanitize=fuzzer)
add_test(NAME fuzz_cron COMMAND cron_fuzz -runs=0 ${CMAKE_CURRENT_LIST_DIR}/corpus/cron)
