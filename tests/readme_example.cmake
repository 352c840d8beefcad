# The C++ example of the README: built as it stands there, run, its output checked.

file(READ ${PROJECT_SOURCE_DIR}/README.md readme)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/README.md)
string(REGEX MATCH "```cpp\n(.*)\n```\n\nBuild against" found "${readme}")
if(NOT found)
  message(FATAL_ERROR "README.md has no C++ example")
endif()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/readme_example.cc CONTENT "${CMAKE_MATCH_1}\n" @ONLY)
add_executable(quarry_readme_example ${CMAKE_CURRENT_BINARY_DIR}/readme_example.cc)
target_link_libraries(quarry_readme_example PRIVATE quarry ${QUARRY_DEPENDENCIES} quarry_warnings)
add_test(NAME readme.example
  COMMAND sh -c "cd $(mktemp -d) && $<TARGET_FILE:quarry_readme_example>")
set_tests_properties(readme.example PROPERTIES PASS_REGULAR_EXPRESSION
  "^red 0.894427 {\"warm\":true}\nlime 0.613941 -\n$")
